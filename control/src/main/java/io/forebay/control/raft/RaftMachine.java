package io.forebay.control.raft;

import io.forebay.control.rocks.RocksSortedMap;
import io.forebay.core.env.Env;
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
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.ratis.io.MD5Hash;
import org.apache.ratis.proto.RaftProtos.LogEntryProto;
import org.apache.ratis.proto.RaftProtos.RoleInfoProto;
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
import org.jspecify.annotations.Nullable;

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

  /** Ends the names of snapshots that are being written. */
  private static final String PART = ".part";

  private final Env env;
  private final RocksSortedMap map;
  private final Machine machine;
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

  /** Their bytes. */
  private long bytesSinceSnapshot;

  /** One that is under way. */
  private volatile @Nullable Dump dump;

  private volatile boolean ending;

  RaftMachine(Env env, RocksSortedMap map, Machine machine, RaftVoter.Retention retention) {
    this.env = env;
    this.map = map;
    this.machine = machine;
    this.retention = retention;
  }

  @Override
  public void initialize(RaftServer server, RaftGroupId group, RaftStorage raftStorage)
      throws IOException {
    getLifeCycle().transition(LifeCycle.State.STARTING);
    super.initialize(server, group, raftStorage);
    storage.init(raftStorage);
    removeUnfinished();
    load();
    getLifeCycle().transition(LifeCycle.State.RUNNING);
  }

  /** What a process that was killed in the middle of a dump has left may be as long as the map. */
  private void removeUnfinished() throws IOException {
    File[] left =
        storage
            .getSnapshotFile(0, 0)
            .getParentFile()
            .listFiles((directory, name) -> name.endsWith(PART));
    if (left != null) {
      for (File part : left) {
        Files.delete(part.toPath());
      }
    }
  }

  @Override
  public void pause() {
    getLifeCycle().transition(LifeCycle.State.PAUSING);
    getLifeCycle().transition(LifeCycle.State.PAUSED);
  }

  @Override
  public void reinitialize() throws IOException {
    abandonDump(); // what the leader has sent is newer
    storage.loadLatestSnapshot();
    storage.added = true; // the leader's
    try {
      load();
    } catch (IOException failure) {
      throw stopping(
          new ForebayException(
              ErrorCode.IO_ERROR,
              "a snapshot of the control plane cannot be taken up: "
                  + failure
                  + "; look at the disk of 'meta', and start again",
              failure));
    } catch (RuntimeException failure) {
      throw stopping(failure);
    }
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
    try (SortedMap.View view = map.view()) {
      machine.load(view);
    }
  }

  private void restore(SingleFileSnapshotInfo snapshot) throws IOException {
    // Of the leader's, which Ratis has not synced. The log that begins behind it goes next.
    Path file = snapshot.getFile().getPath();
    Fsync.of(file);
    Fsync.nameOf(file);
    map.wipe();
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file), 1 << 16))) {
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
    try {
      return snapshot();
    } catch (RuntimeException failure) {
      throw stopping(failure);
    }
  }

  private long snapshot() throws IOException {
    TermIndex position = getLastAppliedTermIndex();
    if (position == null || position.getIndex() < mapIndex) {
      // The map is ahead of what Ratis has given again: a dump would hold more than its name says.
      return RaftLog.INVALID_LOG_INDEX;
    }
    if (dump != null) {
      return finish(dump);
    }
    SingleFileSnapshotInfo last = storage.getLatestSnapshot();
    long since = position.getIndex() - (last == null ? 0 : last.getIndex());
    // Mostly confirmations of reads: a dump of the state would cost more than their few bytes. And
    // one of a long state would cost more than giving the log again.
    if (sinceSnapshot < retention.snapshotEntries()
        && since < READS_PER_CHANGE * retention.snapshotEntries()
        && bytesSinceSnapshot
            < Math.max(
                retention.snapshotBytes(), last == null ? 0 : last.getFile().getFileSize())) {
      return RaftLog.INVALID_LOG_INDEX;
    }
    // Entries of Ratis' own may have followed the last one of ours: with them counted, a restart
    // finds the map no older than its snapshot.
    map.write(
        new Batch(),
        Optional.of(new RocksSortedMap.Applied(position.getTerm(), position.getIndex())));
    mapIndex = position.getIndex();
    sinceSnapshot = 0;
    bytesSinceSnapshot = 0;
    dump = new Dump(position, map.view());
    dump.start();
    return RaftLog.INVALID_LOG_INDEX;
  }

  /** The log goes on while the state is dumped; the snapshot is there when that is done. */
  private long finish(Dump begun) throws IOException {
    if (begun.thread.isAlive()) {
      return RaftLog.INVALID_LOG_INDEX;
    }
    dump = null;
    IOException failure = begun.failure;
    if (failure != null) {
      throw failure;
    }
    FileInfo file = begun.file;
    if (file == null) {
      return RaftLog.INVALID_LOG_INDEX;
    }
    storage.added = true;
    storage.updateLatestSnapshot(new SingleFileSnapshotInfo(file, begun.position));
    return begun.position.getIndex();
  }

  /** A state on its way into a file, in a thread of its own. */
  private final class Dump {
    final TermIndex position;
    final Thread thread;
    private final SortedMap.View view;
    volatile boolean abandoned;
    volatile @Nullable FileInfo file;
    volatile @Nullable IOException failure;

    /**
     * @param view the state at the position; closed when it is dumped
     */
    Dump(TermIndex position, SortedMap.View view) {
      this.position = position;
      this.view = view;
      this.thread = Thread.ofPlatform().name("raft-snapshot").daemon(true).unstarted(this::run);
    }

    void start() {
      thread.start();
    }

    private void run() {
      File target = storage.getSnapshotFile(position.getTerm(), position.getIndex());
      File part = new File(target.getPath() + PART);
      try {
        try (view) {
          write(part);
        }
        if (!abandoned) {
          // A restart finds the map no older than its snapshot.
          map.flush();
          MD5Hash digest = MD5FileUtil.computeMd5ForFile(part);
          Files.move(
              part.toPath(),
              target.toPath(),
              StandardCopyOption.ATOMIC_MOVE,
              StandardCopyOption.REPLACE_EXISTING);
          MD5FileUtil.saveMD5File(target, digest);
          Fsync.nameOf(target.toPath());
          file = new FileInfo(target.toPath(), digest);
        }
      } catch (IOException wrong) {
        failure = wrong;
      } catch (ForebayException wrong) {
        failure = new IOException(wrong);
      } finally {
        var _ = part.delete();
      }
    }

    private void write(File part) throws IOException {
      try (var stream = new FileOutputStream(part);
          DataOutputStream out = new DataOutputStream(new BufferedOutputStream(stream, 1 << 16))) {
        var wrong = new IOException[1];
        view.scan(
            new byte[0],
            new byte[] {(byte) 0xFF},
            (key, value) -> {
              try {
                out.writeInt(key.length);
                out.write(key);
                out.writeInt(value.length);
                out.write(value);
                return !abandoned;
              } catch (IOException failed) {
                wrong[0] = failed;
                return false;
              }
            });
        if (wrong[0] != null) {
          throw wrong[0];
        }
        out.writeInt(-1);
        out.flush();
        stream.getFD().sync();
      }
    }

    /** Stops soon, and leaves no file. */
    void abandon() {
      abandoned = true;
      boolean interrupted = false;
      while (true) {
        try {
          thread.join();
          break;
        } catch (InterruptedException again) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void abandonDump() {
    Dump begun = dump;
    dump = null;
    if (begun != null) {
      begun.abandon();
    }
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
      answer = apply(entry, view, batch);
    }
    try {
      map.write(batch, Optional.of(new RocksSortedMap.Applied(entry.getTerm(), entry.getIndex())));
    } catch (RuntimeException failure) {
      throw stopping(failure);
    } catch (Error failure) {
      throw stopping(failure);
    }
    mapIndex = entry.getIndex();
    sinceSnapshot++;
    bytesSinceSnapshot += content.size();
    updateLastAppliedTermIndex(entry.getTerm(), entry.getIndex());
    return CompletableFuture.completedFuture(Message.valueOf(ByteString.copyFrom(answer)));
  }

  private byte[] apply(LogEntryProto entry, SortedMap.View view, Batch batch) {
    try {
      return machine.apply(
          entry.getTerm(),
          entry.getIndex(),
          entry.getStateMachineLogEntry().getLogData().toByteArray(),
          view,
          batch);
    } catch (RuntimeException failure) {
      throw stopping(failure);
    } catch (Error failure) {
      throw stopping(failure);
    }
  }

  /** The disk was full, or failed: Ratis would go on without a log, as its leader even. */
  @Override
  public void notifyLogFailed(Throwable cause, @Nullable LogEntryProto entry) {
    RuntimeException _ =
        stopping(
            new ForebayException(
                ErrorCode.IO_ERROR, "the control plane's log cannot be written: " + cause, cause));
  }

  /**
   * A log that closes by itself: one for the other voters told it to, all of them after the process
   * stood for long. The node would go on without, and nobody would say so.
   */
  @Override
  public void notifyServerShutdown(RoleInfoProto role, boolean allServer) {
    RuntimeException _ =
        stopping(
            new ForebayException(
                ErrorCode.CONFIGURATION,
                allServer
                    ? "the voter closed, as it does when its process stood for long; start again"
                    : "the running voters do not count this node among them; name the voters in"
                        + " 'voters' as at the cluster's first start, and start again"));
  }

  /** The voter closes: what fails from here on is no news. */
  void ends() {
    ending = true;
  }

  /** Ratis would close this log and leave the rest of the node running: that ends instead. */
  private RuntimeException stopping(RuntimeException failure) {
    if (!ending) {
      Thread _ = env.spawn("voter that cannot go on", () -> rethrow(failure));
    }
    return failure;
  }

  /** A lack of memory, say: it leaves this map behind the others' as any failure does. */
  private Error stopping(Error failure) {
    RuntimeException _ =
        stopping(
            new ForebayException(
                ErrorCode.INTERNAL,
                "an entry of the control plane's log could not be applied: " + failure,
                failure));
    return failure;
  }

  private static void rethrow(RuntimeException failure) {
    throw failure;
  }

  @Override
  public void close() throws IOException {
    abandonDump();
    try {
      map.close();
    } catch (ForebayException failure) {
      throw new IOException(ErrorCode.IO_ERROR.name(), failure);
    }
  }
}
