package io.forebay.core.log;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Scope;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What every {@link Consensus} does together with {@link LogService}, {@link VoterEndpoint} and
 * {@link Submitter}.
 */
public abstract class ConsensusContract {
  protected static final String LOG = "log";
  protected static final long PATIENCE_NANOS = 60_000_000_000L;

  protected final TestEnv env = new TestEnv();
  protected final Machine machine = new LoggedMachine(new Ledger());
  protected final VoterNetwork network = new VoterNetwork(env);
  protected final Map<NodeId, LogService> services = new TreeMap<>();
  protected final Map<NodeId, Consensus> voters = new TreeMap<>();

  /**
   * Starts fresh voters of {@link #LOG}, all on {@link #machine}, giving each to {@link #serve}.
   */
  protected abstract void startVoters();

  /** Stops what startVoters started, as far as it runs. */
  protected abstract void stopVoters();

  protected final void serve(NodeId node, Consensus consensus) {
    var service = new LogService(env, consensus, new Ledger());
    services.put(node, service);
    voters.put(node, consensus);
    network.attach(node, new VoterEndpoint(Map.of(LOG, service)));
  }

  /** Takes a voter off, as far as others see; its owner stops it. */
  protected final void forget(NodeId node) {
    network.detach(node);
    services.remove(node).close();
    voters.remove(node);
  }

  protected final Submitter client(List<NodeId> nodes) {
    return new Submitter(env, network, LOG, nodes);
  }

  protected final Submitter client() {
    return client(List.copyOf(voters.keySet()));
  }

  protected final void eventually(String what, BooleanSupplier condition) {
    long deadline = env.nanoTime() + PATIENCE_NANOS;
    while (!condition.getAsBoolean()) {
      assertThat(env.nanoTime()).as(what).isLessThan(deadline);
      env.sleep(5_000_000L);
    }
  }

  protected final NodeId leader() {
    eventually(
        "somebody leads", () -> voters.values().stream().anyMatch(c -> c.leadership().self()));
    return voters.entrySet().stream()
        .filter(voter -> voter.getValue().leadership().self())
        .findFirst()
        .orElseThrow()
        .getKey();
  }

  @BeforeEach
  void start() {
    startVoters();
  }

  @AfterEach
  void stop() {
    List.copyOf(voters.keySet()).forEach(this::forget);
    stopVoters();
    env.close();
  }

  @Test
  void appliesEachCommandOnceAndInOneOrderEverywhere() {
    var sent = new ArrayList<String>();
    try (var scope = new Scope(env, "writers")) {
      for (int c = 0; c < 4; c++) {
        Submitter client = client();
        for (int i = 0; i < 25; i++) {
          String text = c + "/" + i;
          sent.add(text);
          scope.fork(() -> client.submit(text.getBytes(UTF_8), PATIENCE_NANOS));
        }
      }
      scope.join();
    }
    eventually(
        "all have applied all",
        () -> voters.values().stream().allMatch(v -> Ledger.texts(v.map()).size() >= sent.size()));
    List<String> order = Ledger.texts(voters.values().iterator().next().map());
    assertThat(order).containsExactlyInAnyOrderElementsOf(sent);
    voters.values().forEach(v -> assertThat(Ledger.texts(v.map())).isEqualTo(order));
  }

  @Test
  void aReadSeesWhatWasAnsweredBeforeToAnybody() {
    Submitter writer = client();
    Submitter reader = client(List.copyOf(voters.keySet()).reversed());
    for (int i = 1; i <= 50; i++) {
      assertThat(Ledger.number(writer.submit(("w" + i).getBytes(UTF_8), PATIENCE_NANOS)))
          .isEqualTo(i);
      assertThat(Ledger.number(reader.query(new byte[0], PATIENCE_NANOS))).isEqualTo(i);
    }
  }

  @Test
  void aCommandSentAgainIsAnsweredAgainAndNotAppliedAgain() {
    RecordCodec<Submission.Many> many = RecordCodec.of(Submission.Many.class);
    RecordCodec<Submission.Answers> answers = RecordCodec.of(Submission.Answers.class);
    LogService service = services.get(leader());
    var first = new Submission(7, 1, 1, "first".getBytes(UTF_8));
    var second = new Submission(7, 2, 1, "second".getBytes(UTF_8));
    service.submit(many.encode(new Submission.Many(List.of(first))));
    service.submit(many.encode(new Submission.Many(List.of(second, second))));
    List<byte[]> again =
        answers
            .decode(
                service.submit(many.encode(new Submission.Many(List.of(second, first, second)))))
            .answers();
    assertThat(again.stream().map(Ledger::number)).containsExactly(2L, 1L, 2L);
    // Its client has the answers of 1 and 2: a straggler is not applied, whatever it is told.
    var third = new Submission(7, 3, 3, "third".getBytes(UTF_8));
    service.submit(many.encode(new Submission.Many(List.of(third))));
    service.submit(many.encode(new Submission.Many(List.of(first))));
    assertThat(Ledger.texts(voters.get(leader()).map()))
        .containsExactly("first", "second", "third");
  }

  @Test
  void whatIsNoCommandIsRefusedAndNothingBesideItIsLogged() {
    RecordCodec<Submission.Many> many = RecordCodec.of(Submission.Many.class);
    var good = new Submission(9, 1, 1, "good".getBytes(UTF_8));
    var malformed = new Submission(9, 2, 1, new byte[0]);
    byte[] request = many.encode(new Submission.Many(List.of(good, malformed)));
    LogService service = services.get(leader());
    assertThatThrownBy(() -> service.submit(request))
        .isInstanceOfSatisfying(
            ForebayException.class, wrong -> assertThat(wrong.code()).isEqualTo(ErrorCode.CORRUPT));
    assertThat(Ledger.number(client().submit("next".getBytes(UTF_8), PATIENCE_NANOS))).isEqualTo(1);
  }

  @Test
  void whoeverDoesNotLeadSaysSo() {
    NodeId leader = leader();
    voters.forEach((node, voter) -> {
      if (!node.equals(leader)) {
        eventually(
            node + " knows the leader",
            () -> voter.leadership().leader().filter(leader::equals).isPresent());
        try {
          voter.confirmRead(1_000_000_000L);
          throw new AssertionError(node + " took itself for the leader");
        } catch (ForebayException refused) {
          assertThat(refused.code()).isEqualTo(ErrorCode.NOT_LEADER);
          assertThat(refused.getMessage()).isEqualTo(leader.name());
        }
      }
    });
  }
}
