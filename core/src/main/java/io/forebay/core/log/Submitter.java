package io.forebay.core.log;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.LongFunction;
import java.util.function.Supplier;

/**
 * A node's way to one log: finds the leader, sends commands and queries, and sends again under the
 * same number when the outcome is unknown, so that each command is applied once.
 */
public final class Submitter {
  // Longer than an election takes: when an attempt ends in silence, somebody else leads.
  private static final long ATTEMPT_NANOS = 1_000_000_000L;
  // Others may still name a voter that went silent as the leader: asked again at once, it would
  // cost one more attempt.
  private static final long SILENT_NANOS = 700_000_000L;
  private static final long BACK_OFF_NANOS = 20_000_000L;
  private static final long MAX_BACK_OFF_NANOS = 200_000_000L;
  private static final int MAX_OUTSTANDING = 4096;
  private static final RecordCodec<Submission.Many> REQUESTS =
      RecordCodec.of(Submission.Many.class);
  private static final RecordCodec<Submission.Answers> ANSWERS =
      RecordCodec.of(Submission.Answers.class);

  private final Env env;
  private final Network network;
  private final String group;
  private final List<NodeId> voters;
  private final long clientId;
  private final ReentrantLock lock = new ReentrantLock();
  private final TreeSet<Long> outstanding = new TreeSet<>(); // guarded by lock
  private long nextSequence = 1; // guarded by lock
  private int leader; // guarded by lock: place in voters of whom to ask first
  private final Map<NodeId, Long> silentUntil = new TreeMap<>(); // guarded by lock

  /**
   * @param group name of the log
   * @param voters who may lead it, at least one
   */
  public Submitter(Env env, Network network, String group, List<NodeId> voters) {
    this.env = env;
    this.network = network;
    this.group = group;
    this.voters = List.copyOf(voters);
    this.clientId = env.random().nextLong();
  }

  /**
   * Logs a command.
   *
   * @param command encoded
   * @return the encoded result
   * @throws ForebayException UNAVAILABLE when no leader answered within the time-out: the outcome
   *     is unknown
   */
  public byte[] submit(byte[] command, long timeoutNanos) {
    return numbered(
        sequence -> ask(timeoutNanos, () -> submission(sequence, command), Submitter::result));
  }

  /**
   * Has this node's own voter log a command, if it leads, and no other one: once.
   *
   * @return the encoded result
   * @throws ForebayException NOT_LEADER; any other with an unknown outcome
   */
  byte[] submitHere(byte[] command) {
    return numbered(sequence ->
        result(
                network
                    .call(
                        network.self(),
                        submission(sequence, command),
                        Optional.empty(),
                        ATTEMPT_NANOS)
                    .await()
                    .message())
            .orElseThrow(() ->
                new ForebayException(ErrorCode.NOT_LEADER, "this node does not lead " + group)));
  }

  /** Does something under a number that is outstanding for as long. */
  private byte[] numbered(LongFunction<byte[]> action) {
    long sequence;
    lock.lock();
    try {
      if (outstanding.size() >= MAX_OUTSTANDING) {
        throw new ForebayException(
            ErrorCode.BUSY,
            MAX_OUTSTANDING + " commands of this node wait for the log; try again later");
      }
      sequence = nextSequence++;
      outstanding.add(sequence);
    } finally {
      lock.unlock();
    }
    try {
      return action.apply(sequence);
    } finally {
      lock.lock();
      try {
        outstanding.remove(sequence);
      } finally {
        lock.unlock();
      }
    }
  }

  private ControlMessage.Submit submission(long sequence, byte[] command) {
    lock.lock();
    try {
      var submission = new Submission(clientId, sequence, outstanding.first(), command);
      return new ControlMessage.Submit(
          group, REQUESTS.encode(new Submission.Many(List.of(submission))));
    } finally {
      lock.unlock();
    }
  }

  private static Optional<byte[]> result(Message message) {
    return message instanceof ControlMessage.Submitted(byte[] results)
        ? Optional.of(ANSWERS.decode(results).answers().getFirst())
        : Optional.empty();
  }

  /**
   * Asks for a linearizable read.
   *
   * @return the encoded answer
   * @throws ForebayException UNAVAILABLE when no leader answered within the time-out
   */
  public byte[] query(byte[] query, long timeoutNanos) {
    return ask(
        timeoutNanos,
        () -> new ControlMessage.Query(group, query),
        message ->
            message instanceof ControlMessage.Answer(byte[] answer)
                ? Optional.of(answer)
                : Optional.empty());
  }

  /**
   * Asks for a linearizable read, and for a lease on what it is about.
   *
   * @param run of this process, as it draws it
   * @throws ForebayException UNAVAILABLE when no leader answered within the time-out
   */
  public ControlMessage.LeasedAnswer leasedQuery(byte[] query, long run, long timeoutNanos) {
    return ask(
        timeoutNanos,
        () -> new ControlMessage.LeasedQuery(group, query, network.self(), run),
        message ->
            message instanceof ControlMessage.LeasedAnswer answer
                ? Optional.of(answer)
                : Optional.empty());
  }

  /** Whom this node takes for the leader; another voter while that one is silent. */
  public NodeId leader() {
    lock.lock();
    try {
      for (int i = 0; i < voters.size(); i++) {
        NodeId voter = voters.get((leader + i) % voters.size());
        if (!isSilent(voter)) {
          return voter;
        }
      }
      return voters.get(leader);
    } finally {
      lock.unlock();
    }
  }

  private boolean isSilent(NodeId voter) {
    return silentUntil.getOrDefault(voter, 0L) > env.nanoTime();
  }

  /** A voter did not answer in time, or cannot be reached: others are asked for a moment. */
  public void silent(NodeId asked) {
    lock.lock();
    try {
      silentUntil.put(asked, env.nanoTime() + SILENT_NANOS);
      passBy(asked);
    } finally {
      lock.unlock();
    }
  }

  /**
   * A voter said who leads, or that it does not.
   *
   * @return whether the one named is worth asking at once
   */
  public boolean leaderIs(NodeId asked, Optional<NodeId> hint) {
    lock.lock();
    try {
      silentUntil.remove(asked);
      int known = hint.map(voters::indexOf).orElse(-1);
      boolean worth =
          known >= 0 && !voters.get(known).equals(asked) && !isSilent(voters.get(known));
      if (worth) {
        leader = known;
      } else {
        passBy(asked);
      }
      return worth;
    } finally {
      lock.unlock();
    }
  }

  /** The next one is asked; but another call may have found the leader meanwhile. */
  private void passBy(NodeId asked) {
    NodeId first = voters.get(leader);
    if (first.equals(asked) || isSilent(first)) {
      leader = (voters.indexOf(asked) + 1) % voters.size();
    }
  }

  private <T> T ask(
      long timeoutNanos, Supplier<Message> request, Function<Message, Optional<T>> answer) {
    long deadline = env.nanoTime() + timeoutNanos;
    long backOff = BACK_OFF_NANOS;
    String last = "no voter was asked";
    while (env.nanoTime() < deadline) {
      NodeId voter = leader();
      try {
        long attempt = Math.min(ATTEMPT_NANOS, Math.max(1, deadline - env.nanoTime()));
        Reply reply = network.call(voter, request.get(), Optional.empty(), attempt).await();
        Optional<T> answered = answer.apply(reply.message());
        if (answered.isPresent()) {
          return answered.get();
        }
        if (reply.message() instanceof ControlMessage.NotLeader(var hint)) {
          last = voter + " does not lead";
          if (leaderIs(voter, hint)) {
            // A leader that is known is asked at once, but not for ever: an old hint may be a
            // circle.
            env.sleep(1_000_000L);
            continue;
          }
        } else {
          throw new ForebayException(
              ErrorCode.WRONG_VERSION,
              voter
                  + " answered the log "
                  + group
                  + " with "
                  + reply.message().getClass().getSimpleName());
        }
      } catch (ForebayException failure) {
        switch (failure.code()) {
          case PEER_UNREACHABLE, TIMEOUT -> {
            last = voter + ": " + failure.getMessage();
            silent(voter);
          }
          case UNAVAILABLE, BUSY, NOT_LEADER -> {
            last = voter + ": " + failure.getMessage();
            leaderIs(voter, Optional.empty());
          }
          default -> throw failure;
        }
      }
      env.sleep(backOff / 2 + env.random().nextLong(backOff));
      backOff = Math.min(2 * backOff, MAX_BACK_OFF_NANOS);
    }
    throw new ForebayException(
        ErrorCode.UNAVAILABLE,
        "the log "
            + group
            + " has no leader that answers (voters "
            + voters
            + "; "
            + last
            + "): a majority of the voters must run and reach each other");
  }
}
