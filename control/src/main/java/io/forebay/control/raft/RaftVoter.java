package io.forebay.control.raft;

import io.forebay.control.rocks.RocksSortedMap;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.Leadership;
import io.forebay.core.log.Machine;
import io.forebay.core.sorted.SortedMap;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.ratis.conf.Parameters;
import org.apache.ratis.conf.RaftProperties;
import org.apache.ratis.grpc.GrpcConfigKeys;
import org.apache.ratis.proto.RaftProtos.ServerRpcProto;
import org.apache.ratis.protocol.ClientId;
import org.apache.ratis.protocol.GroupManagementRequest;
import org.apache.ratis.protocol.Message;
import org.apache.ratis.protocol.RaftClientReply;
import org.apache.ratis.protocol.RaftClientRequest;
import org.apache.ratis.protocol.RaftGroup;
import org.apache.ratis.protocol.RaftGroupId;
import org.apache.ratis.protocol.RaftPeer;
import org.apache.ratis.protocol.RaftPeerId;
import org.apache.ratis.protocol.TransferLeadershipRequest;
import org.apache.ratis.protocol.exceptions.NotLeaderException;
import org.apache.ratis.server.DivisionInfo;
import org.apache.ratis.server.RaftServer;
import org.apache.ratis.server.RaftServerConfigKeys;
import org.apache.ratis.server.storage.RaftStorage;
import org.apache.ratis.thirdparty.com.google.protobuf.ByteString;
import org.apache.ratis.util.SizeInBytes;
import org.apache.ratis.util.TimeDuration;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One voter: an Apache Ratis server that takes part in several logs, each with a map on RocksDB. A
 * read confirms leadership by an entry of its own that says nothing (rule V6). Neither of Ratis'
 * own ways will do: a leader lease trusts a clock that may stop with the machine, and its read
 * index confirms an index once, so that a deposed leader goes on answering from it (decision 0006).
 */
public final class RaftVoter implements AutoCloseable {
  /** A log that the voter takes part in. */
  public record Log(String name, Machine machine) {}

  /**
   * How much of a log is kept.
   *
   * @param segmentBytes of one file; the log is purged in whole files
   * @param snapshotEntries between two snapshots at most, those of reads not counted
   * @param snapshotBytes of entries between two snapshots, or as many as the last one had if that
   *     is more: a restart gives them again
   */
  record Retention(long segmentBytes, long snapshotEntries, long snapshotBytes) {
    static final Retention NORMAL = new Retention(8L << 20, 20_000, 64L << 20);

    /** How often the machine is asked whether a snapshot is due, in entries. */
    long askedEvery() {
      return Math.min(snapshotEntries, 500);
    }
  }

  private static final Logger LOG = LoggerFactory.getLogger(RaftVoter.class);

  private final Env env;
  private final RaftServer server;
  private final RaftPeerId self;
  private final int voters;
  private final ClientId client = ClientId.randomId();
  private final AtomicLong calls = new AtomicLong();
  private final Map<String, GroupLog> logs = new TreeMap<>();
  private final Map<String, RaftMachine> byGroup = new TreeMap<>();

  /**
   * Starts.
   *
   * @param clusterId names the cluster: voters of another one are not understood, whatever their
   *     addresses
   * @param voters every voter's consensus HOST:PORT, this one's too
   * @param directory for logs and maps; made if absent
   * @throws ForebayException CONFIGURATION when the address or the directory cannot be used;
   *     WRONG_VERSION when a newer version of this program wrote the directory; CORRUPT when a log
   *     is damaged where it may have been acknowledged
   */
  public RaftVoter(
      Env env,
      String clusterId,
      NodeId node,
      Map<NodeId, String> voters,
      Path directory,
      List<Log> wanted) {
    this(env, clusterId, node, voters, directory, wanted, Retention.NORMAL);
  }

  RaftVoter(
      Env env,
      String clusterId,
      NodeId node,
      Map<NodeId, String> voters,
      Path directory,
      List<Log> wanted,
      Retention retention) {
    this.env = env;
    this.self = RaftPeerId.valueOf(node.name());
    this.voters = voters.size();
    List<RaftPeer> peers =
        new TreeMap<>(voters)
            .entrySet().stream()
                .map(voter ->
                    RaftPeer.newBuilder()
                        .setId(voter.getKey().name())
                        .setAddress(voter.getValue())
                        .build())
                .toList();
    Path raft = directory.resolve("raft");
    try {
      Files.createDirectories(raft);
      VoterFormat.require(directory);
      List<String> names = peers.stream().map(peer -> peer.getId().toString()).toList();
      FirstVoters.require(directory, names);
      for (Log log : wanted) {
        var map = new RocksSortedMap(directory.resolve("state-" + log.name()));
        byGroup.put(
            groupId(clusterId, log.name()).getUuid().toString(),
            new RaftMachine(env, map, log.machine(), retention));
        logs.put(log.name(), new GroupLog(groupId(clusterId, log.name()), map));
      }
      var parameters = new Parameters();
      GrpcConfigKeys.Server.setServicesCustomizer(
          parameters, (builder, types) -> builder.intercept(new DurableVotes(raft)));
      RaftGroupId first = groupId(clusterId, wanted.getFirst().name());
      boolean known = Files.exists(raft.resolve(first.getUuid().toString()).resolve("current"));
      requireOwn(raft, byGroup.keySet());
      for (GroupLog log : logs.values()) {
        Path group = raft.resolve(log.group.getUuid().toString());
        if (Files.exists(group)) {
          LogTail.mend(
              group,
              log.map.applied().map(RocksSortedMap.Applied::index).orElse(-1L),
              voters.size() == 1);
        }
        if (!known && log.map.applied().isPresent()) {
          // A fresh log begins at index 0 again, and would be taken for applied.
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              directory
                  + " holds a voter's state, but its log in "
                  + raft
                  + " is gone: bring the log back; or, when a majority of the other voters runs,"
                  + " move "
                  + directory
                  + " away, and this voter is filled by them; until it has caught up, end no"
                  + " other voter, for this one votes before it knows what was acknowledged");
        }
      }
      server =
          RaftServer.newBuilder()
              .setServerId(self)
              .setProperties(
                  properties(address(voters, node), raft.toFile(), voters.size(), retention))
              .setParameters(parameters)
              .setGroup(RaftGroup.valueOf(first, peers))
              .setOption(
                  known ? RaftStorage.StartupOption.RECOVER : RaftStorage.StartupOption.FORMAT)
              .setStateMachineRegistry(group -> {
                RaftMachine machine = byGroup.get(group.getUuid().toString());
                if (machine == null) {
                  throw new IllegalStateException("no log of ours has the group " + group);
                }
                return machine;
              })
              .build();
      server.start();
      for (Log log : wanted) {
        RaftGroupId id = groupId(clusterId, log.name());
        boolean present = false;
        for (RaftGroupId served : server.getGroupIds()) {
          present |= served.equals(id);
        }
        if (!present) {
          server.groupManagement(
              GroupManagementRequest.newAdd(
                  client, self, calls.incrementAndGet(), RaftGroup.valueOf(id, peers)));
        }
      }
      FirstVoters.keep(directory, known ? ofLog(first) : names, names);
    } catch (ForebayException failure) {
      closeMaps();
      throw failure;
    } catch (IOException | CompletionException failure) {
      // The latter with what Ratis finds damaged.
      closeMaps();
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the control plane's voter at "
              + voters.get(node)
              + " with "
              + directory
              + " does not start: "
              + reason(failure),
          failure);
    }
  }

  private static Throwable reason(Throwable failure) {
    Throwable cause = failure.getCause();
    return cause == null ? failure : reason(cause);
  }

  /** Whom the log takes for voters, whatever is configured. */
  private List<String> ofLog(RaftGroupId group) throws IOException {
    return server.getDivision(group).getRaftConf().getCurrentPeers().stream()
        .map(peer -> peer.getId().toString())
        .sorted()
        .toList();
  }

  private void closeMaps() {
    byGroup.values().forEach(RaftMachine::ends);
    logs.values().forEach(log -> log.map.close());
  }

  private static void requireOwn(Path raft, Set<String> groups) throws IOException {
    try (Stream<Path> present = Files.list(raft)) {
      Optional<Path> other =
          present
              .filter(Files::isDirectory)
              .filter(group -> !groups.contains(group.getFileName().toString()))
              .findFirst();
      if (other.isPresent()) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            raft
                + " holds the log of another cluster ("
                + other.get().getFileName()
                + "): name this cluster's directory under 'meta', or its secret under 'secret'");
      }
    }
  }

  private static String address(Map<NodeId, String> voters, NodeId node) {
    String address = voters.get(node);
    if (address == null) {
      throw new IllegalArgumentException(node + " is none of the voters " + voters.keySet());
    }
    return address;
  }

  private static RaftGroupId groupId(String clusterId, String name) {
    return RaftGroupId.valueOf(
        UUID.nameUUIDFromBytes(
            ("forebay/" + clusterId + "/" + name).getBytes(StandardCharsets.UTF_8)));
  }

  private static RaftProperties properties(
      String address, File directory, int voters, Retention retention) {
    var properties = new RaftProperties();
    RaftServerConfigKeys.setStorageDir(properties, List.of(directory));
    int colon = address.lastIndexOf(':');
    GrpcConfigKeys.Server.setHost(properties, address.substring(0, colon));
    GrpcConfigKeys.Server.setPort(properties, Integer.parseInt(address.substring(colon + 1)));
    GrpcConfigKeys.setMessageSizeMax(properties, SizeInBytes.valueOf("16MB"));
    // One voter elects itself at once. Several must outlast a pause of a loaded machine, and still
    // elect within a second, so that a dead leader is known within three.
    TimeDuration least = millis(voters == 1 ? 20 : 500);
    TimeDuration most = millis(voters == 1 ? 40 : 800);
    RaftServerConfigKeys.Rpc.setTimeoutMin(properties, least);
    RaftServerConfigKeys.Rpc.setTimeoutMax(properties, most);
    RaftServerConfigKeys.Rpc.setFirstElectionTimeoutMin(properties, millis(voters == 1 ? 20 : 200));
    RaftServerConfigKeys.Rpc.setFirstElectionTimeoutMax(properties, millis(voters == 1 ? 40 : 600));
    RaftServerConfigKeys.Rpc.setRequestTimeout(properties, millis(1_000));
    RaftServerConfigKeys.Rpc.setSleepTime(properties, millis(200));
    RaftServerConfigKeys.Log.setSegmentSizeMax(
        properties, SizeInBytes.valueOf(retention.segmentBytes()));
    RaftServerConfigKeys.Log.setPreallocatedSize(
        properties, SizeInBytes.valueOf(Math.min(1L << 20, retention.segmentBytes())));
    RaftServerConfigKeys.Log.setForceSyncNum(properties, LogTail.MOST_UNSYNCED);
    RaftServerConfigKeys.Log.setWriteBufferSize(properties, SizeInBytes.valueOf("5MB"));
    // The library's own pauses grow to 5 s: a leader would not see for that long that a dead peer
    // is back, and a majority that needs it would stand. A refused connection four times a second
    // costs nothing. The last count never runs out: behind it there would be no pause at all.
    RaftServerConfigKeys.Log.Appender.setRetryPolicy(
        properties, "10ms,10, 100ms,10, 250ms,1000000000");
    RaftServerConfigKeys.Log.Appender.setBufferByteLimit(properties, SizeInBytes.valueOf("4MB"));
    // Well below what a message may have: the library's own is as much, so that the first part of a
    // longer snapshot would never arrive.
    RaftServerConfigKeys.Log.Appender.setSnapshotChunkSizeMax(
        properties, SizeInBytes.valueOf("1MB"));
    RaftServerConfigKeys.Log.setSegmentCacheNumMax(properties, 2);
    RaftServerConfigKeys.Log.setPurgeUptoSnapshotIndex(properties, true);
    RaftServerConfigKeys.Log.setPurgeGap(
        properties, (int) Math.min(1_024, retention.snapshotEntries()));
    RaftServerConfigKeys.Snapshot.setAutoTriggerEnabled(properties, true);
    RaftServerConfigKeys.Snapshot.setAutoTriggerThreshold(properties, retention.askedEvery());
    RaftServerConfigKeys.Snapshot.setRetentionFileNum(properties, 2);
    return properties;
  }

  private static TimeDuration millis(long count) {
    return TimeDuration.valueOf(count, TimeUnit.MILLISECONDS);
  }

  /** The log of a name that was wanted. */
  public Consensus log(String name) {
    GroupLog log = logs.get(name);
    if (log == null) {
      throw new IllegalArgumentException("this voter has no log '" + name + "'");
    }
    return log;
  }

  /**
   * Has other voters lead the logs that this one leads, so that nobody waits for an election when
   * it ends. Where nobody takes over in time it leads on; nothing depends on it.
   *
   * @param timeoutNanos for each log
   */
  public void handOver(long timeoutNanos) {
    logs.values().forEach(log -> log.handOver(timeoutNanos));
  }

  @Override
  public void close() {
    byGroup.values().forEach(RaftMachine::ends);
    try {
      server.close();
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.IO_ERROR, "the voter did not stop cleanly: " + failure, failure);
    }
  }

  private final class GroupLog implements Consensus {
    private final RaftGroupId group;
    private final RocksSortedMap map;

    GroupLog(RaftGroupId group, RocksSortedMap map) {
      this.group = group;
      this.map = map;
    }

    @Override
    public Outcome<byte[]> propose(byte[] entry) {
      return send(ByteString.copyFrom(entry));
    }

    private Outcome<byte[]> send(ByteString content) {
      var outcome = new Outcome<byte[]>(env);
      RaftClientRequest request =
          RaftClientRequest.newBuilder()
              .setClientId(client)
              .setServerId(self)
              .setGroupId(group)
              .setCallId(calls.incrementAndGet())
              .setMessage(Message.valueOf(content))
              .setType(RaftClientRequest.writeRequestType())
              .build();
      CompletableFuture<RaftClientReply> reply;
      try {
        reply = server.submitClientRequestAsync(request);
      } catch (IOException failure) {
        outcome.fail(unavailable(failure));
        return outcome;
      }
      CompletableFuture<RaftClientReply> _ =
          reply.whenComplete((answer, failure) -> {
            if (failure != null) {
              outcome.fail(unavailable(failure));
            } else if (answer.isSuccess()) {
              outcome.complete(answer.getMessage().getContent().toByteArray());
            } else if (answer.getNotLeaderException() != null) {
              NotLeaderException elsewhere = answer.getNotLeaderException();
              RaftPeer leader = elsewhere.getSuggestedLeader();
              outcome.fail(
                  new ForebayException(
                      ErrorCode.NOT_LEADER, leader == null ? "" : leader.getId().toString()));
            } else {
              outcome.fail(unavailable(answer.getException()));
            }
          });
      return outcome;
    }

    @Override
    public OptionalLong awaitsOwnDisk() {
      RaftServer.Division division;
      try {
        division = server.getDivision(group);
      } catch (IOException failure) {
        return OptionalLong.empty();
      }
      if (!division.getInfo().isLeader()) {
        return OptionalLong.empty();
      }
      long flushed = division.getRaftLog().getFlushIndex();
      long @Nullable [] others = division.getInfo().getFollowerMatchIndices();
      if (others == null) {
        return OptionalLong.empty(); // it does not lead any more
      }
      Arrays.sort(others);
      int majority = voters / 2 + 1;
      return others.length >= majority && others[others.length - majority] > flushed
          ? OptionalLong.of(flushed + 1)
          : OptionalLong.empty();
    }

    /** To who has most of it; of several, to whom was heard of last. */
    @Override
    public void handOver(long timeoutNanos) {
      try {
        if (!leadership().self()) {
          return;
        }
        Optional<RaftPeerId> next = successor(server.getDivision(group).getInfo());
        if (next.isPresent()) {
          RaftClientReply reply =
              server.transferLeadership(
                  new TransferLeadershipRequest(
                      client,
                      self,
                      group,
                      calls.incrementAndGet(),
                      next.get(),
                      TimeUnit.NANOSECONDS.toMillis(timeoutNanos)));
          LOG.info("the log {} is handed over to {}: {}", group, next.get(), reply.isSuccess());
        }
      } catch (IOException failure) {
        LOG.info("the log {} was not handed over: {}", group, failure.toString());
      }
    }

    private static Optional<RaftPeerId> successor(DivisionInfo info) {
      List<ServerRpcProto> followers =
          info.getRoleInfoProto().getLeaderInfo().getFollowerInfoList();
      long @Nullable [] matches = info.getFollowerMatchIndices(); // in the same order
      boolean known = matches != null && matches.length == followers.size();
      return IntStream.range(0, followers.size())
          .boxed()
          .max(
              Comparator.<Integer>comparingLong(i -> known && matches != null ? matches[i] : 0)
                  .thenComparingLong(i -> -followers.get(i).getLastRpcElapsedTimeMs()))
          .map(i -> RaftPeerId.valueOf(followers.get(i).getId().getId()));
    }

    private ForebayException unavailable(Throwable failure) {
      return new ForebayException(
          ErrorCode.UNAVAILABLE,
          "the log did not take the entry, or its outcome is unknown: " + failure,
          failure);
    }

    @Override
    public void confirmRead(long timeoutNanos) {
      if (!leadership().self()) {
        throw new ForebayException(
            ErrorCode.NOT_LEADER, leadership().leader().map(NodeId::name).orElse(""));
      }
      if (voters > 1) {
        send(ByteString.EMPTY).await(timeoutNanos, "confirming leadership");
      }
    }

    @Override
    public Leadership leadership() {
      DivisionInfo info;
      try {
        info = server.getDivision(group).getInfo();
      } catch (IOException failure) {
        return new Leadership(0, Optional.empty(), false);
      }
      Optional<NodeId> leader =
          Optional.ofNullable(info.getLeaderId()).map(id -> new NodeId(id.toString()));
      return new Leadership(info.getCurrentTerm(), leader, info.isLeader() && info.isLeaderReady());
    }

    @Override
    public SortedMap map() {
      return map;
    }

    @Override
    public void close() {
      // The server, which the logs share, is closed by the voter.
    }
  }
}
