package io.forebay.control.raft;

import io.forebay.control.rocks.RocksSortedMap;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.log.Machine;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.apache.ratis.io.MD5Hash;
import org.apache.ratis.proto.RaftProtos.LogEntryProto;
import org.apache.ratis.protocol.Message;
import org.apache.ratis.protocol.RaftGroupId;
import org.apache.ratis.server.RaftServer;
import org.apache.ratis.server.protocol.TermIndex;
import org.apache.ratis.server.raftlog.RaftLog;
import org.apache.ratis.server.storage.FileInfo;
import org.apache.ratis.server.storage.RaftStorage;
import org.apache.ratis.statemachine.SnapshotRetentionPolicy;
import org.apache.ratis.statemachine.StateMachineStorage;
import org.apache.ratis.statemachine.TransactionContext;
import org.apache.ratis.statemachine.impl.BaseStateMachine;
import org.apache.ratis.statemachine.impl.SimpleStateMachineStorage;
import org.apache.ratis.statemachine.impl.SingleFileSnapshotInfo;
import org.apache.ratis.thirdparty.com.google.protobuf.ByteString;
import org.apache.ratis.util.LifeCycle;
import org.apache.ratis.util.MD5FileUtil;

/**
 * Our {@link Machine} as Ratis sees one. The map itself is the state and knows up to where it has
 * applied the log; Ratis knows the last snapshot only and gives all entries since then again after
 * a restart, so that those which the map has are passed over. A snapshot flushes the map, so that
 * the log below can be purged, and dumps it into one file for a voter that is too far behind to be
 * given entries: (key length, key, value length, value)*, then -1.
 */
final class RaftMachine extends BaseStateMachine {
  /** How many entries are kept beyond the retention's count when they confirm reads only. */
  private static final long READS_PER_CHANGE = 10;

  private final RocksSortedMap map;
  private final Machine machine;
  private final Consumer<SortedMap> onLoad;
  private final RaftVoter.Retention retention;
  private final SnapshotFiles storage = new SnapshotFiles();

  /** Ratis cleans up after every entry for which it asked for a snapshot, taken or not. */
  private static final class SnapshotFiles extends SimpleStateMachineStorage {
    private boolean added = true; // of the applying thread; one of an earlier run may be too many

    @Override
    public void cleanupOldSnapshots(SnapshotRetentionPolicy policy) throws IOException {
      if (added) {
        super.cleanupOldSnapshots(policy);
        added = false;
      }
    }
  }

  /** Up to where the map has applied the log; of Ratis' applying thread, after initialize. */
  private long mapIndex = RaftLog.INVALID_LOG_INDEX;

  /** Entries that changed the map since the last snapshot of this run; the applying thread's. */
  private long sinceSnapshot;

  /**
   * @param onLoad told when the map holds what a restart or a snapshot has brought
   */
  RaftMachine(
      RocksSortedMap map,
      Machine machine,
      Consumer<SortedMap> onLoad,
      RaftVoter.Retention retention) {
    this.map = map;
    this.machine = machine;
    this.onLoad = onLoad;
    this.retention = retention;
  }

  @Override
  public void initialize(RaftServer server, RaftGroupId group, RaftStorage raftStorage)
      throws IOException {
    getLifeCycle().transition(LifeCycle.State.STARTING);
    super.initialize(server, group, raftStorage);
    storage.init(raftStorage);
    load();
    getLifeCycle().transition(LifeCycle.State.RUNNING);
  }

  @Override
  public void pause() {
    getLifeCycle().transition(LifeCycle.State.PAUSING);
    getLifeCycle().transition(LifeCycle.State.PAUSED);
  }

  @Override
  public void reinitialize() throws IOException {
    storage.loadLatestSnapshot();
    storage.added = true; // the leader's
    load();
    if (getLifeCycleState() == LifeCycle.State.PAUSED) {
      getLifeCycle().transition(LifeCycle.State.STARTING);
      getLifeCycle().transition(LifeCycle.State.RUNNING);
    }
  }

  private void load() throws IOException {
    Optional<RocksSortedMap.Applied> applied = map.applied();
    SingleFileSnapshotInfo snapshot = storage.getLatestSnapshot();
    if (snapshot != null
        && snapshot.getIndex() > applied.map(RocksSortedMap.Applied::index).orElse(-1L)) {
      restore(snapshot);
      applied = map.applied();
    }
    mapIndex = applied.map(RocksSortedMap.Applied::index).orElse(RaftLog.INVALID_LOG_INDEX);
    if (snapshot != null) {
      setLastAppliedTermIndex(snapshot.getTermIndex());
    }
    onLoad.accept(map);
  }

  private void restore(SingleFileSnapshotInfo snapshot) throws IOException {
    map.wipe();
    try (DataInputStream in =
        new DataInputStream(
            new BufferedInputStream(Files.newInputStream(snapshot.getFile().getPath()), 1 << 16))) {
      var batch = new Batch();
      for (int length = in.readInt(); length >= 0; length = in.readInt()) {
        byte[] key = in.readNBytes(length);
        byte[] value = in.readNBytes(in.readInt());
        batch.put(key, value);
        if (batch.changes().size() == 1_000) {
          map.write(batch);
          batch = new Batch();
        }
      }
      map.write(
          batch, Optional.of(new RocksSortedMap.Applied(snapshot.getTerm(), snapshot.getIndex())));
    }
    map.flush();
  }

  @Override
  public long takeSnapshot() throws IOException {
    TermIndex position = getLastAppliedTermIndex();
    if (position == null || position.getIndex() < mapIndex) {
      // The map is ahead of what Ratis has given again: a dump would hold more than its name says.
      return RaftLog.INVALID_LOG_INDEX;
    }
    SingleFileSnapshotInfo last = storage.getLatestSnapshot();
    long since = position.getIndex() - (last == null ? 0 : last.getIndex());
    if (sinceSnapshot < retention.snapshotEntries()
        && since < READS_PER_CHANGE * retention.snapshotEntries()) {
      // Mostly confirmations of reads: a dump of the state would cost more than their few bytes.
      return RaftLog.INVALID_LOG_INDEX;
    }
    // Entries of Ratis' own may have followed the last one of ours: with them counted, a restart
    // finds the map no older than its snapshot.
    map.write(
        new Batch(),
        Optional.of(new RocksSortedMap.Applied(position.getTerm(), position.getIndex())));
    mapIndex = position.getIndex();
    File file = storage.getSnapshotFile(position.getTerm(), position.getIndex());
    File part = new File(file.getPath() + ".part");
    try (SortedMap.View view = map.view()) {
      try (var stream = new FileOutputStream(part);
          DataOutputStream out = new DataOutputStream(new BufferedOutputStream(stream, 1 << 16))) {
        var failure = new IOException[1];
        view.scan(
            new byte[0],
            new byte[] {(byte) 0xFF},
            (key, value) -> {
              try {
                out.writeInt(key.length);
                out.write(key);
                out.writeInt(value.length);
                out.write(value);
                return true;
              } catch (IOException wrong) {
                failure[0] = wrong;
                return false;
              }
            });
        if (failure[0] != null) {
          throw failure[0];
        }
        out.writeInt(-1);
        out.flush();
        stream.getFD().sync();
      }
    }
    map.flush();
    MD5Hash digest = MD5FileUtil.computeMd5ForFile(part);
    Files.move(
        part.toPath(),
        file.toPath(),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
    MD5FileUtil.saveMD5File(file, digest);
    sinceSnapshot = 0;
    storage.added = true;
    storage.updateLatestSnapshot(
        new SingleFileSnapshotInfo(new FileInfo(file.toPath(), digest), position));
    return position.getIndex();
  }

  @Override
  public StateMachineStorage getStateMachineStorage() {
    return storage;
  }

  @Override
  public SingleFileSnapshotInfo getLatestSnapshot() {
    return storage.getLatestSnapshot();
  }

  @Override
  public CompletableFuture<Message> applyTransaction(TransactionContext transaction) {
    LogEntryProto entry = transaction.getLogEntry();
    ByteString content = entry.getStateMachineLogEntry().getLogData();
    // Nobody waits for what an earlier run has applied; an empty entry confirms a leader's reads.
    if (entry.getIndex() <= mapIndex || content.isEmpty()) {
      updateLastAppliedTermIndex(entry.getTerm(), entry.getIndex());
      return CompletableFuture.completedFuture(Message.EMPTY);
    }
    var batch = new Batch();
    byte[] answer;
    try (SortedMap.View view = map.current()) {
      answer = machine.apply(entry.getTerm(), entry.getIndex(), content.toByteArray(), view, batch);
    }
    map.write(batch, Optional.of(new RocksSortedMap.Applied(entry.getTerm(), entry.getIndex())));
    mapIndex = entry.getIndex();
    sinceSnapshot++;
    updateLastAppliedTermIndex(entry.getTerm(), entry.getIndex());
    return CompletableFuture.completedFuture(Message.valueOf(ByteString.copyFrom(answer)));
  }

  @Override
  public void close() throws IOException {
    try {
      map.close();
    } catch (ForebayException failure) {
      throw new IOException(ErrorCode.IO_ERROR.name(), failure);
    }
  }
}
