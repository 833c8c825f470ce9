package io.forebay.store.disk;

import io.forebay.core.bytes.BlockCrcs;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Passes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPart;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A volume on a file system: segment files of equal size, each a table of {@link Slot}s and the
 * data they point to, written with direct I/O. The index is in memory and rebuilt from the tables;
 * there is no second place that could say something else.
 *
 * <p>Order that makes a crash harmless: data, then the slot (a chunk without a slot does not
 * exist); a slot is cleared before its room is given to another chunk (a chunk that was deleted
 * does not come back).
 *
 * <p>A kill leaves each slot old or new whole, so a slot that is neither free nor right, a segment
 * that is cut short or missing, and room that is claimed twice mean that acknowledged chunks may be
 * lost. Then the volume opens as another incarnation (rule R6): it is put OUT and fetches what it
 * lacks, instead of answering "absent" as an in-sync member.
 *
 * <p>Locks: {@code lock} guards allocation (segments, extents, slots, sizes) and is held across no
 * I/O but the making of a segment; the index is concurrent. Platform threads of the volume do all
 * I/O.
 */
public final class DiskVolume implements Volume {
  private static final Logger LOG = LoggerFactory.getLogger(DiskVolume.class);
  private static final int BLOCK_BYTES = Segment.BLOCK_BYTES;
  private static final double DEFAULT_SHARE = 0.8;
  // Of the file system's size, and no more than 256 MiB: for what stands beside the segments, so
  // that
  // a full disk can still be repaired and a control plane on it goes on.
  private static final int RESERVE_PART = 50;
  private static final long MAX_RESERVE_BYTES = 256L << 20;
  // What may wait for the disk: some seconds of the slowest one, and less than the transport's
  // buffers.
  private static final long MAX_QUEUED_BYTES = 64L << 20;
  // How long a new chunk waits for that: less than its writer's patience of 500 ms.
  private static final long QUEUE_NANOS = 300_000_000L;
  // A bounce buffer holds the largest slice and a block on each side.
  private static final int BOUNCE_BYTES = (1 << 20) + (256 << 10);
  // At the end. Each waits for a commit of the file system's journal, which those at once share.
  private static final int SYNCS_AT_ONCE = 16;
  private static final ByteBuffer ZEROS = aligned(BLOCK_BYTES).asReadOnlyBuffer();

  private record Entry(Segment segment, int slot, Slot content) {}

  /** A slot that is to be cleared. */
  private record Unbelieved(Segment segment, int slot) {}

  private final Env env;
  private final Path directory;
  private final VolumeId id;
  private final Incarnation incarnation;
  private final int segmentBytes;
  private final long capacityBytes;
  private final boolean direct;
  private final SegmentFiles files;
  private final FileChannel lockFile;
  private final ThreadPoolExecutor writers;
  private final ThreadPoolExecutor readers;
  private final ThreadLocal<ByteBuffer> bounce =
      ThreadLocal.withInitial(() -> aligned(BOUNCE_BYTES));
  private final ConcurrentHashMap<ChunkId, Entry> index = new ConcurrentHashMap<>();
  private final ConcurrentSkipListMap<GroupId, ConcurrentSkipListMap<ChunkId, StoredChunk>> groups =
      new ConcurrentSkipListMap<>();
  private final AtomicLong queuedBytes = new AtomicLong();
  private final FileStore fileStore;
  private final long reserveBytes;
  private final ReentrantLock lock = new ReentrantLock();
  private Optional<Outcome<Boolean>> drained = Optional.empty(); // guarded by lock
  private final List<Segment> segments = new ArrayList<>(); // guarded by lock
  private final List<Integer> missing = new ArrayList<>(); // used while opening only
  private final List<Unbelieved> unbelieved = new ArrayList<>(); // used while opening only
  private long usedBytes; // guarded by lock
  private long promisedBytes; // guarded by lock; new room of the file system for appends under way
  private VolumeMeta meta; // guarded by lock
  private final AtomicReference<@Nullable String> fault = new AtomicReference<>();
  // Of an earlier boot, not synced and not looked at yet: they may be torn. Guarded by lock.
  private final TreeMap<GroupId, TreeSet<ChunkId>> unsettled = new TreeMap<>();
  private final AtomicLong torn = new AtomicLong();
  // Slots of torn chunks that are being cleared. Guarded by lock.
  private final List<Outcome<Boolean>> clearing = new ArrayList<>();
  private volatile boolean closed;

  /**
   * Opens the volume of a directory, or formats the directory when it has none.
   *
   * @throws ForebayException CONFIGURATION (no permission, in use); WRONG_VERSION; CORRUPT
   */
  public static DiskVolume open(Env env, Path directory, DiskSettings settings) {
    return open(env, directory, settings, FileChannel::open);
  }

  /** As above, with another way to open segment files. */
  static DiskVolume open(Env env, Path directory, DiskSettings settings, SegmentFiles files) {
    return open(env, directory, settings, files, bootId());
  }

  /** As above, in another boot of the machine. */
  static DiskVolume open(
      Env env, Path directory, DiskSettings settings, SegmentFiles files, long boot) {
    try {
      Files.createDirectories(directory.resolve("segments"));
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the data directory "
              + directory
              + " cannot be made ("
              + failure
              + "); name one that this user may write",
          failure);
    }
    FileChannel lockFile = lockDirectory(directory);
    try {
      VolumeMeta meta;
      if (Files.exists(directory.resolve(VolumeMeta.FILE))) {
        meta = VolumeMeta.read(directory);
      } else if (!segmentFiles(directory).isEmpty()) {
        throw new ForebayException(
            ErrorCode.CORRUPT,
            "the data directory "
                + directory
                + " has segments and no "
                + VolumeMeta.FILE
                + "; restore that file, or empty the directory if its data are not needed");
      } else {
        meta =
            new VolumeMeta(
                env.random().nextLong(),
                env.random().nextLong(),
                settings.segmentBytes(),
                (long) (DEFAULT_SHARE * Files.getFileStore(directory).getUsableSpace()),
                "",
                boot,
                false,
                0,
                "");
        meta.write(directory);
      }
      var volume = new DiskVolume(env, directory, settings, meta, lockFile, files, boot);
      volume.beginToSettle();
      return volume;
    } catch (IOException failure) {
      closeQuietly(lockFile);
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the data directory " + directory + " cannot be used: " + failure,
          failure);
    } catch (RuntimeException failure) {
      closeQuietly(lockFile);
      throw failure;
    }
  }

  /**
   * The volume of a directory, without opening or changing anything; empty when there is none.
   *
   * @throws ForebayException as {@link #open} does for a meta file that cannot be read
   */
  public static Optional<VolumeId> identify(Path directory) {
    return Files.exists(directory.resolve(VolumeMeta.FILE))
        ? Optional.of(new VolumeId(VolumeMeta.read(directory).volume()))
        : Optional.empty();
  }

  private static FileChannel lockDirectory(Path directory) {
    Path file = directory.resolve("volume.lock");
    FileChannel channel = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      FileLock held = channel.tryLock();
      if (held != null) {
        return channel;
      }
    } catch (IOException failure) {
      closeQuietly(channel);
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the data directory "
              + directory
              + " cannot be locked ("
              + failure
              + "); check its owner and rights",
          failure);
    } catch (OverlappingFileLockException here) {
      // This process has it open already; said below.
    }
    closeQuietly(channel);
    throw new ForebayException(
        ErrorCode.CONFIGURATION,
        "the data directory "
            + directory
            + " is in use by another node; stop that one, or name another directory");
  }

  private static void closeQuietly(@Nullable FileChannel channel) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException failure) {
      LOG.warn("a file could not be closed: {}", failure.toString());
    }
  }

  private DiskVolume(
      Env env,
      Path directory,
      DiskSettings settings,
      VolumeMeta meta,
      FileChannel lockFile,
      SegmentFiles files,
      long boot)
      throws IOException {
    this.env = env;
    this.directory = directory;
    this.meta = meta;
    this.lockFile = lockFile;
    this.id = new VolumeId(meta.volume());
    this.segmentBytes = meta.segmentBytes();
    this.direct = settings.directIo() && DirectIo.option().isPresent() && takesDirectIo(directory);
    this.capacityBytes =
        settings.capacityBytes() > 0 ? settings.capacityBytes() : meta.capacityBytes();
    this.fileStore = Files.getFileStore(directory);
    this.reserveBytes =
        settings.reserveBytes() > 0
            ? settings.reserveBytes()
            : Math.min(MAX_RESERVE_BYTES, fileStore.getTotalSpace() / RESERVE_PART);
    this.files = files;
    this.writers = pool("write", settings.ioThreads());
    this.readers = pool("read", settings.ioThreads());
    try {
      if (load(segmentFiles(directory))) {
        // Synced before anything is cleared: a crash in between finds the damage again.
        this.meta = meta.withDisk(env.random().nextLong());
        this.meta.write(directory);
        LOG.error(
            "volume {} at {} may have lost chunks; it goes on as another incarnation",
            id,
            directory);
      }
      for (int number : missing) {
        Segment.make(directory, number, segmentBytes); // used from the next start on
      }
      for (Unbelieved each : unbelieved) {
        each.segment().writeFully(ZEROS.duplicate(), (long) each.slot() * BLOCK_BYTES);
      }
    } catch (IOException | RuntimeException failure) {
      for (Segment segment : segments) {
        closeQuietly(segment.channel);
      }
      throw failure;
    }
    this.incarnation = new Incarnation(this.meta.disk(), boot);
  }

  /** After a boot of the machine. */
  private void beginToSettle() throws IOException {
    lock.lock();
    try {
      if (meta.closed()) {
        // On the disk before anything is changed, for that may be torn.
        meta = meta.withBoot(incarnation.boot());
        meta.write(directory);
      }
      if (meta.boot() == incarnation.boot()) {
        return;
      }
      for (Entry entry : index.values()) {
        if (!entry.content().synced()) {
          StoredChunk chunk = entry.content().chunk();
          unsettled.computeIfAbsent(chunk.group(), any -> new TreeSet<>()).add(chunk.id());
        }
      }
    } finally {
      lock.unlock();
    }
    env.spawn("settle-" + id, this::settleAll);
  }

  /** Has it on the disk at the end that nothing is torn, so that later starts need not look. */
  private void settleAll() {
    try {
      for (Optional<GroupId> next = firstUnsettled(); next.isPresent(); next = firstUnsettled()) {
        settle(next.get());
      }
      awaitCleared();
      lock.lock();
      try {
        if (closed) {
          return;
        }
        meta = meta.withBoot(incarnation.boot());
        meta.write(directory);
      } finally {
        lock.unlock();
      }
      if (torn.get() > 0) {
        LOG.warn(
            "volume {} at {}: {} chunks were torn when the machine stopped, and are held no more",
            id,
            directory,
            torn.get());
      }
    } catch (IOException failure) {
      LOG.error("{}", writeFault("the meta file", failure).getMessage());
    } catch (ForebayException ended) {
      // Closed, or a slot could not be cleared; the next start begins anew.
      LOG.debug("volume {} was not settled: {}", id, ended.toString());
    }
  }

  /**
   * Until no slot of a torn chunk is there any more: a later start takes what it finds for whole.
   */
  private void awaitCleared() {
    List<Outcome<Boolean>> begun;
    lock.lock();
    try {
      begun = List.copyOf(clearing);
      clearing.clear();
    } finally {
      lock.unlock();
    }
    begun.forEach(Outcome::await);
  }

  private Optional<GroupId> firstUnsettled() {
    lock.lock();
    try {
      return unsettled.keySet().stream().findFirst();
    } finally {
      lock.unlock();
    }
  }

  private Optional<ChunkId> firstUnsettled(GroupId group) {
    lock.lock();
    try {
      return Optional.ofNullable(unsettled.get(group)).map(TreeSet::first);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void settle(GroupId group) {
    for (Optional<ChunkId> next = firstUnsettled(group);
        next.isPresent();
        next = firstUnsettled(group)) {
      settle(group, next.get());
    }
  }

  private void settle(GroupId group, ChunkId chunk) {
    Entry entry = index.get(chunk);
    boolean whole = entry == null || mayBeWhole(entry);
    lock.lock();
    try {
      if (entry != null && !whole && entry.equals(index.get(chunk))) {
        drop(entry);
      }
      forgetUnsettled(group, chunk);
    } finally {
      lock.unlock();
    }
  }

  /** What the disk cannot read is not torn but damaged, which is for whoever reads it. */
  private boolean mayBeWhole(Entry entry) {
    try {
      return submit(readers, () -> matches(entry)).await();
    } catch (ForebayException failure) {
      if (failure.code() != ErrorCode.IO_ERROR) {
        throw failure;
      }
      LOG.error("{} cannot be read whole: {}", entry.content().chunk(), failure.getMessage());
      return true;
    }
  }

  /** With lock held. */
  private void drop(Entry entry) {
    torn.incrementAndGet();
    take(entry);
    clearing.add(
        clear(
            entry.segment(),
            entry.slot(),
            entry.content().offsetBlocks(),
            blocks(entry.content().chunk().lengthBytes()),
            true,
            () -> {}));
  }

  /**
   * A sync that succeeds after a failed one proves nothing: what the failed one covered may be
   * gone.
   *
   * @throws ForebayException IO_ERROR
   */
  private void requireSound() {
    String wrong = fault.get();
    if (wrong != null) {
      throw new ForebayException(
          ErrorCode.IO_ERROR,
          "volume " + id + " at " + directory + " is turned out since a write failed: " + wrong);
    }
  }

  /** Whether there was such a one. With lock held. */
  private boolean forgetUnsettled(GroupId group, ChunkId chunk) {
    TreeSet<ChunkId> some = unsettled.get(group);
    if (some == null || !some.remove(chunk)) {
      return false;
    }
    if (some.isEmpty()) {
      unsettled.remove(group);
    }
    return true;
  }

  private Segment segment(int number, Path file) throws IOException {
    return new Segment(
        number,
        file,
        segmentBytes,
        direct,
        files,
        channel -> new GroupCommit(env, writers, channel, failure -> syncFault(file, failure)));
  }

  private static List<Path> segmentFiles(Path directory) throws IOException {
    try (var listing = Files.list(directory.resolve("segments"))) {
      return listing
          .filter(file -> String.valueOf(file.getFileName()).matches("[0-9]{8}\\.seg"))
          .sorted()
          .toList();
    }
  }

  private ThreadPoolExecutor pool(String what, int threads) {
    var pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().name("forebay-" + what + "-" + id + "-", 0).daemon(true).factory());
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }

  private static long bootId() {
    try {
      String text = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
      var crc = new CRC32C();
      crc.update(text.getBytes(StandardCharsets.US_ASCII));
      return crc.getValue() | ((long) text.hashCode() << 32);
    } catch (IOException failure) {
      // Without a boot id every start counts as a reboot: safe, at the price of a comparison.
      return System.currentTimeMillis();
    }
  }

  private static boolean takesDirectIo(Path directory) {
    Path probe = directory.resolve("direct.probe");
    try (FileChannel channel =
        FileChannel.open(
            probe,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            DirectIo.option().orElseThrow())) {
      channel.write(aligned(BLOCK_BYTES), 0);
      return true;
    } catch (IOException | UnsupportedOperationException refused) {
      LOG.info("{} takes no direct I/O ({}); buffered I/O is used", directory, refused.toString());
      return false;
    } finally {
      try {
        Files.deleteIfExists(probe);
      } catch (IOException left) {
        LOG.warn("{} was left behind: {}", probe, left.toString());
      }
    }
  }

  private static ByteBuffer aligned(int bytes) {
    return ByteBuffer.allocateDirect(bytes + BLOCK_BYTES)
        .alignedSlice(BLOCK_BYTES)
        .limit(bytes)
        .slice();
  }

  /**
   * Believes every slot that is whole. Of two that claim the same room neither; of two with the
   * same chunk the one whose data are whole: a crash between a second append and its undoing leaves
   * two good ones, a power cut after a deletion that was not synced a stale one. What is not
   * believed is cleared before its room can be given away, else it might be believed at the next
   * start.
   *
   * @return whether chunks may be missing that were acknowledged
   */
  private boolean load(List<Path> files) throws IOException {
    boolean damaged = false;
    var seen = new BitSet();
    ByteBuffer table = aligned(Segment.tableBytes(segmentBytes));
    for (Path file : files) {
      String name = String.valueOf(file.getFileName());
      int number = Integer.parseInt(name.substring(0, name.indexOf('.')));
      seen.set(number);
      long size = Files.size(file);
      if (size < segmentBytes) {
        LOG.error("{} has {} bytes of {}", file, size, segmentBytes);
        damaged = true;
      }
      var segment = segment(number, file);
      segments.add(segment);
      segment.readFully(table.clear(), 0);
      damaged |= load(segment, table);
    }
    int count = Math.max(meta.segments(), seen.length());
    for (int lost = seen.nextClearBit(0); lost < count; lost = seen.nextClearBit(lost + 1)) {
      LOG.error("{} is missing; what it held is lost", Segment.file(directory, lost));
      missing.add(lost);
      damaged = true;
    }
    return damaged;
  }

  private boolean load(Segment segment, ByteBuffer table) throws IOException {
    boolean damaged = false;
    var whole = new ArrayList<Entry>();
    for (int i = 0; i < segment.slots; i++) {
      Optional<Slot> slot = Slot.read(table, i * BLOCK_BYTES);
      if (slot.isPresent()) {
        whole.add(new Entry(segment, i, slot.get()));
      } else if (table.slice(i * BLOCK_BYTES, BLOCK_BYTES).mismatch(ZEROS) >= 0) {
        LOG.error("{} slot {} is damaged; its chunk, if it had one, is lost", segment.path, i);
        unbelieved.add(new Unbelieved(segment, i));
        damaged = true;
      }
    }
    whole.sort(Comparator.comparingInt(entry -> entry.content().offsetBlocks()));
    var doubted = new BitSet();
    int furthest = -1;
    long end = segment.slots;
    for (int i = 0; i < whole.size(); i++) {
      Slot slot = whole.get(i).content();
      long slotEnd = (long) slot.offsetBlocks() + blocks(slot.chunk().lengthBytes());
      if (slot.offsetBlocks() < end) {
        doubted.set(i);
        if (furthest >= 0) {
          doubted.set(furthest);
        }
      }
      if (slotEnd > (long) segmentBytes / BLOCK_BYTES) {
        doubted.set(i);
      }
      if (slotEnd > end) {
        end = slotEnd;
        furthest = i;
      }
    }
    for (int i = 0; i < whole.size(); i++) {
      Entry entry = whole.get(i);
      Slot slot = entry.content();
      Entry before = index.get(slot.chunk().id());
      if (doubted.get(i) || (before != null && isWhole(before))) {
        damaged |= doubted.get(i);
        disbelieve(entry);
        continue;
      }
      if (before != null) {
        disbelieve(before);
        take(before);
        free(
            before.segment(),
            before.slot(),
            before.content().offsetBlocks(),
            blocks(before.content().chunk().lengthBytes()));
      }
      int blocks = blocks(slot.chunk().lengthBytes());
      boolean taken = !Rule.REBUILD.holds() || segment.extents.takeAt(slot.offsetBlocks(), blocks);
      assert taken : slot;
      segment.touched.set(slot.offsetBlocks(), slot.offsetBlocks() + blocks);
      segment.usedSlots.set(entry.slot());
      usedBytes += (long) blocks * BLOCK_BYTES;
      put(entry);
    }
    return damaged;
  }

  private void disbelieve(Entry entry) {
    LOG.error(
        "{} slot {} is cleared: {} is kept elsewhere too, or its room is claimed twice",
        entry.segment().path,
        entry.slot(),
        entry.content().chunk());
    unbelieved.add(new Unbelieved(entry.segment(), entry.slot()));
  }

  /** Whether all data of a chunk are what its slot says. */
  private boolean isWhole(Entry entry) {
    try {
      return matches(entry);
    } catch (IOException unreadable) {
      LOG.error("{} cannot be read whole: {}", entry.content().chunk(), unreadable.toString());
      return false;
    }
  }

  private boolean matches(Entry entry) throws IOException {
    Slot slot = entry.content();
    int length = slot.chunk().lengthBytes();
    for (int at = 0, i = 0; at < length; at += slot.crcBlockBytes(), i++) {
      int count = Math.min(slot.crcBlockBytes(), length - at);
      ByteBuffer block = bounceOf(count).limit(blocks(count) * BLOCK_BYTES);
      entry.segment().readFully(block, (long) slot.offsetBlocks() * BLOCK_BYTES + at);
      var crc = new CRC32C();
      crc.update(block.flip().limit(count));
      if ((int) crc.getValue() != slot.blockCrcs()[i]) {
        return false;
      }
    }
    return true;
  }

  /** Takes a chunk out of the index; its room stays taken. With lock held, or before any use. */
  private void take(Entry entry) {
    StoredChunk chunk = entry.content().chunk();
    index.remove(chunk.id());
    ConcurrentSkipListMap<ChunkId, StoredChunk> group = groups.get(chunk.group());
    if (group != null) {
      group.remove(chunk.id());
    }
  }

  private void put(Entry entry) {
    StoredChunk chunk = entry.content().chunk();
    index.put(chunk.id(), entry);
    groups
        .computeIfAbsent(chunk.group(), any -> new ConcurrentSkipListMap<>())
        .put(chunk.id(), chunk);
  }

  private static int blocks(int lengthBytes) {
    return (lengthBytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
  }

  /**
   * Ties the directory to a cluster, at its first use.
   *
   * @throws ForebayException WRONG_CLUSTER when it belongs to another
   */
  public void bindCluster(String clusterId) {
    lock.lock();
    try {
      if (meta.cluster().isEmpty()) {
        meta = meta.withCluster(clusterId);
        meta.write(directory);
      } else if (!meta.cluster().equals(clusterId)) {
        throw new ForebayException(
            ErrorCode.WRONG_CLUSTER,
            "the data directory "
                + directory
                + " belongs to cluster "
                + meta.cluster()
                + ", and this node joins "
                + clusterId
                + "; name another directory, or empty this one if its data are not needed");
      }
    } catch (IOException failure) {
      throw fault("the meta file", failure);
    } finally {
      lock.unlock();
    }
  }

  /** The control plane that knows what the volume holds; empty until it was bound to one. */
  public Optional<String> control() {
    lock.lock();
    try {
      return Optional.of(meta.control()).filter(known -> !known.isEmpty());
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ties the directory to a control plane, at its first use; synced when it returns. To another one
   * all that the volume holds would be garbage.
   *
   * @throws ForebayException CONFIGURATION when it belongs to another
   */
  public void bindControl(String id) {
    lock.lock();
    try {
      if (meta.control().isEmpty()) {
        meta = meta.withControl(id);
        meta.write(directory);
      } else if (!meta.control().equals(id)) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "the volume at "
                + directory
                + " belongs to the control plane "
                + meta.control()
                + ", and this node has come to "
                + id
                + ": mount the right 'meta'; or, to give up all that the volume holds, empty its"
                + " directory");
      }
    } catch (IOException failure) {
      throw fault("the meta file", failure);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public VolumeId id() {
    return id;
  }

  @Override
  public Incarnation incarnation() {
    return incarnation;
  }

  @Override
  public VolumeUsage usage() {
    lock.lock();
    try {
      return new VolumeUsage(capacityBytes, usedBytes, index.size(), queuedBytes.get());
    } finally {
      lock.unlock();
    }
  }

  private ForebayException fault(String what, IOException failure) {
    return new ForebayException(
        closed ? ErrorCode.UNAVAILABLE : isFull(failure) ? ErrorCode.NO_SPACE : ErrorCode.IO_ERROR,
        "volume " + id + " at " + directory + ": " + what + ": " + failure.getMessage(),
        failure);
  }

  private static boolean isFull(IOException failure) {
    String said = String.valueOf(failure.getMessage());
    return said.contains("No space left") || said.contains("quota exceeded");
  }

  /** Whether it says nothing about the disk: the process lacks something for a moment, or ends. */
  private static boolean isShortage(IOException failure) {
    String said = String.valueOf(failure.getMessage());
    return failure instanceof ClosedByInterruptException
        || said.contains("Too many open files")
        || said.contains("Cannot allocate memory");
  }

  /**
   * A sync that failed, for lack of room even: the bytes that it was to bring to the disk are
   * dropped, and only the first who asks is told. It turns the volume out, also one that is being
   * closed, which else would be called synced.
   */
  private ForebayException syncFault(Path file, IOException failure) {
    if (!closed || !(failure instanceof ClosedChannelException)) {
      turnOut("syncing " + file, failure);
    }
    return new ForebayException(
        closed ? ErrorCode.UNAVAILABLE : ErrorCode.IO_ERROR,
        "volume " + id + " at " + directory + ": syncing " + file + ": " + failure.getMessage(),
        failure);
  }

  private void turnOut(String what, IOException failure) {
    if (fault.compareAndSet(null, what + ": " + failure.getMessage())) {
      LOG.error(
          "volume {} at {} takes no more chunks: {}: {}",
          id,
          directory,
          what,
          failure.getMessage());
    }
  }

  /**
   * A fault in writing. Unless the disk was only full it turns the volume out: what was written
   * before it may be lost without a further word, and a disk that remaps no more will not get
   * better.
   */
  private ForebayException writeFault(String what, IOException failure) {
    ForebayException said = fault(what, failure);
    if (said.code() == ErrorCode.IO_ERROR) {
      turnOut(what, failure);
    }
    return said;
  }

  @Override
  public Optional<String> fault() {
    return Optional.ofNullable(fault.get());
  }

  @Override
  public ChunkAppender append(
      ChunkId chunk, GroupId group, Epoch epoch, int maxLengthBytes, Durability durability) {
    int most = Math.min(Slot.MAX_CHUNK_BYTES, segmentBytes - Segment.tableBytes(segmentBytes));
    if (maxLengthBytes < 1 || maxLengthBytes > most) {
      // Buckets have chunks of up to 64 MiB, whatever the disks of their nodes were made with.
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "volume "
              + id
              + " at "
              + directory
              + ": its segments of "
              + segmentBytes
              + " bytes hold chunks of 1 to "
              + most
              + " bytes, and not of "
              + maxLengthBytes
              + ": make the bucket with smaller chunks, or empty the disk and start it with larger"
              + " segments");
    }
    int blocks = blocks(maxLengthBytes);
    awaitDrained();
    lock.lock();
    try {
      if (closed) {
        throw closedVolume();
      }
      requireSound();
      if (usedBytes + (long) blocks * BLOCK_BYTES > capacityBytes) {
        throw noSpace(maxLengthBytes);
      }
      for (Segment segment : segments) {
        Optional<DiskAppender> room =
            reserve(segment, blocks, chunk, group, epoch, maxLengthBytes, durability);
        if (room.isPresent()) {
          return room.get();
        }
      }
      if ((long) segments.size() * segmentBytes >= capacityBytes) {
        requireSpare((long) blocks * BLOCK_BYTES, maxLengthBytes);
        throw noSpace(maxLengthBytes);
      }
      int number = segments.isEmpty() ? 0 : segments.getLast().number + 1;
      requireSpare(Segment.tableBytes(segmentBytes) + (long) blocks * BLOCK_BYTES, maxLengthBytes);
      Segment.make(directory, number, segmentBytes);
      var segment = segment(number, Segment.file(directory, number));
      try {
        // Before its first chunk, so that a start without it knows that something is missing.
        meta = meta.withSegments(number + 1);
        meta.write(directory);
      } catch (IOException failure) {
        closeQuietly(segment.channel);
        throw failure;
      }
      segments.add(segment);
      return reserve(segment, blocks, chunk, group, epoch, maxLengthBytes, durability)
          .orElseThrow(() -> noSpace(maxLengthBytes)); // taken by somebody else meanwhile
    } catch (IOException failure) {
      // No byte of anybody's was at stake: what is lacking for a moment is no reason to turn a good
      // disk out.
      throw isShortage(failure)
          ? fault("a new segment", failure)
          : writeFault("a new segment", failure);
    } finally {
      lock.unlock();
    }
  }

  /** Room of the file system that nobody is promised, beyond the reserve. With lock held. */
  private long spareBytes() throws IOException {
    return fileStore.getUsableSpace() - promisedBytes - reserveBytes;
  }

  /**
   * Refuses what would fill the file system, on which others may write too: full is known before
   * the first byte, and some room stays.
   *
   * @param fresh bytes that the file system has not given us before
   */
  private void requireSpare(long fresh, int wanted) throws IOException {
    long spare = spareBytes();
    if (spare < fresh) {
      throw new ForebayException(
          ErrorCode.NO_SPACE,
          "volume "
              + id
              + " at "
              + directory
              + " has no room for "
              + wanted
              + " bytes: its file system has "
              + Math.max(0, spare)
              + " bytes to spare beside "
              + promisedBytes
              + " promised to chunks under way and a reserve of "
              + reserveBytes
              + "; free some there");
    }
  }

  private ForebayException noSpace(int wanted) {
    return new ForebayException(
        ErrorCode.NO_SPACE,
        "volume "
            + id
            + " at "
            + directory
            + " has no room for "
            + wanted
            + " bytes: "
            + usedBytes
            + " of "
            + capacityBytes
            + " are used, in "
            + segments.size()
            + " segments");
  }

  private Optional<DiskAppender> reserve(
      Segment segment,
      int blocks,
      ChunkId chunk,
      GroupId group,
      Epoch epoch,
      int maxLengthBytes,
      Durability durability)
      throws IOException {
    int slot = segment.usedSlots.nextClearBit(0);
    if (slot >= segment.slots || segment.extents.freeBlocks() < blocks) {
      return Optional.empty();
    }
    OptionalInt start = segment.extents.take(blocks);
    if (start.isEmpty()) {
      return Optional.empty();
    }
    int end = start.getAsInt() + blocks;
    long fresh =
        (long) (blocks - segment.touched.get(start.getAsInt(), end).cardinality()) * BLOCK_BYTES;
    if (fresh > 0 && spareBytes() < fresh) {
      segment.extents.give(start.getAsInt(), blocks);
      return Optional.empty();
    }
    promisedBytes += fresh;
    segment.usedSlots.set(slot);
    usedBytes += (long) blocks * BLOCK_BYTES;
    return Optional.of(
        new DiskAppender(
            segment,
            slot,
            start.getAsInt(),
            blocks,
            fresh,
            chunk,
            group,
            epoch,
            maxLengthBytes,
            durability));
  }

  /** Lets a chunk begin when what waits for the disk is within its bound. */
  private void awaitDrained() {
    long deadline = env.nanoTime() + QUEUE_NANOS;
    while (queuedBytes.get() > MAX_QUEUED_BYTES) {
      Outcome<Boolean> less;
      lock.lock();
      try {
        if (queuedBytes.get() <= MAX_QUEUED_BYTES) {
          return;
        }
        less = drained.orElseGet(() -> new Outcome<>(env));
        drained = Optional.of(less);
      } finally {
        lock.unlock();
      }
      if (!less.awaitUntil(deadline)) {
        throw new ForebayException(
            ErrorCode.BUSY,
            "volume "
                + id
                + " at "
                + directory
                + " has more than "
                + MAX_QUEUED_BYTES
                + " bytes waiting to be written");
      }
    }
  }

  /** Commits that wait for a sync which has not begun. */
  int syncsWaiting() {
    lock.lock();
    try {
      return segments.stream().mapToInt(segment -> segment.commits.waiting()).sum();
    } finally {
      lock.unlock();
    }
  }

  private void dequeued(int bytes) {
    long left = queuedBytes.addAndGet(-bytes);
    if (left <= MAX_QUEUED_BYTES && left + bytes > MAX_QUEUED_BYTES) {
      lock.lock();
      try {
        drained.ifPresent(less -> less.complete(true));
        drained = Optional.empty();
      } finally {
        lock.unlock();
      }
    }
  }

  @Override
  public Optional<StoredChunk> find(ChunkId chunk) {
    return Optional.ofNullable(index.get(chunk)).map(entry -> entry.content().chunk());
  }

  @Override
  public List<StoredChunk> list(GroupId group, Optional<ChunkId> after, int max) {
    ConcurrentSkipListMap<ChunkId, StoredChunk> chunks = groups.get(group);
    if (chunks == null) {
      return List.of();
    }
    Map<ChunkId, StoredChunk> rest =
        after.isPresent() ? chunks.tailMap(after.get(), false) : chunks;
    return rest.values().stream().limit(max).toList();
  }

  @Override
  public List<GroupId> groups() {
    return groups.entrySet().stream()
        .filter(entry -> !entry.getValue().isEmpty())
        .map(Map.Entry::getKey)
        .toList();
  }

  /** Has a writer do something; a fault of the disk turns the volume out. */
  private <T> Outcome<T> submitWrite(String what, Callable<T> task) {
    return submit(
        writers,
        () -> {
          try {
            return task.call();
          } catch (IOException failure) {
            throw writeFault(what, failure);
          }
        });
  }

  private <T> Outcome<T> submit(ThreadPoolExecutor pool, Callable<T> task) {
    var outcome = new Outcome<T>(env);
    try {
      pool.execute(() -> {
        try {
          outcome.complete(task.call());
        } catch (IOException failure) {
          outcome.fail(fault("reading", failure));
        } catch (Throwable failure) {
          outcome.fail(failure);
        }
      });
    } catch (RejectedExecutionException stopped) {
      outcome.fail(closedVolume());
    }
    return outcome;
  }

  @Override
  public Bytes read(ChunkId chunk, int offset, int length, SlabPool pool) {
    Entry entry = index.get(chunk);
    if (entry == null) {
      throw absent(chunk);
    }
    StoredChunk stored = entry.content().chunk();
    if (offset < 0
        || length < 1
        || offset > stored.lengthBytes() - length
        || length > pool.slabBytes()) {
      throw new IllegalArgumentException(
          "read " + offset + "+" + length + " of chunk " + chunk + " of " + stored.lengthBytes());
    }
    Slab slab = pool.take();
    Outcome<Bytes> outcome = submit(readers, () -> readNow(entry, offset, length, slab));
    // The slab stays lent until the disk is done with it, even if the caller is interrupted before.
    outcome.whenDone(any -> slab.release());
    try {
      return outcome.await();
    } catch (ForebayException failure) {
      outcome.whenDone(late -> {
        if (late.failure().isEmpty()) {
          late.get().release();
        }
      });
      throw failure;
    }
  }

  private ForebayException closedVolume() {
    return new ForebayException(
        ErrorCode.UNAVAILABLE, "volume " + id + " at " + directory + " is closed");
  }

  private ForebayException absent(ChunkId chunk) {
    return new ForebayException(ErrorCode.CHUNK_ABSENT, "volume " + id + " does not hold " + chunk);
  }

  private ByteBuffer bounceOf(int bytes) {
    return bytes <= BOUNCE_BYTES ? bounce.get().duplicate().clear() : aligned(bytes);
  }

  private Bytes readNow(Entry entry, int offset, int length, Slab slab) throws IOException {
    StoredChunk stored = entry.content().chunk();
    int crcBytes = entry.content().crcBlockBytes();
    int start = offset / crcBytes * crcBytes;
    int end =
        Math.min((offset + length + crcBytes - 1) / crcBytes * crcBytes, stored.lengthBytes());
    int padded = blocks(end - start) * BLOCK_BYTES;
    boolean fits = padded <= slab.capacity();
    ByteBuffer buffer = (fits ? slab.buffer() : bounceOf(padded)).limit(padded);
    entry.segment().readFully(buffer, (long) entry.content().offsetBlocks() * BLOCK_BYTES + start);
    Passes.checksummed(end - start);
    for (int at = start; at < end; at += crcBytes) {
      var crc = new CRC32C();
      crc.update(buffer.slice(at - start, Math.min(crcBytes, end - at)));
      if ((int) crc.getValue() != entry.content().blockCrcs()[at / crcBytes]) {
        Entry now = index.get(stored.id());
        if (now == null) {
          throw absent(stored.id()); // deleted meanwhile, and its room has other bytes now
        }
        if (!entry.equals(now)) {
          return readNow(now, offset, length, slab); // repaired meanwhile
        }
        throw new ForebayException(
            ErrorCode.CORRUPT,
            "chunk "
                + stored.id()
                + " on volume "
                + id
                + " at "
                + directory
                + " is damaged in bytes "
                + at
                + " to "
                + Math.min(at + crcBytes, end));
      }
    }
    if (fits && offset == start && offset + length == end && crcBytes == BlockCrcs.BLOCK_BYTES) {
      int[] known =
          Arrays.copyOfRange(
              entry.content().blockCrcs(), start / crcBytes, (end + crcBytes - 1) / crcBytes);
      return slab.bytes(0, length, known);
    }
    if (fits) {
      return slab.bytes(offset - start, length);
    }
    Passes.copied(length);
    slab.buffer().put(buffer.slice(offset - start, length));
    return slab.bytes(0, length);
  }

  @Override
  public void delete(Collection<ChunkId> chunks) {
    var gone = new ArrayList<Entry>();
    lock.lock();
    try {
      for (ChunkId chunk : chunks) {
        Entry entry = index.get(chunk);
        if (entry != null) {
          take(entry);
          gone.add(entry);
        }
      }
    } finally {
      lock.unlock();
    }
    if (gone.isEmpty()) {
      return;
    }
    submitWrite(
            "deleting",
            () -> {
              int cleared = 0;
              try {
                for (Entry entry : gone) {
                  entry.segment().writeFully(ZEROS.duplicate(), (long) entry.slot() * BLOCK_BYTES);
                  cleared++;
                  lock.lock();
                  try {
                    free(
                        entry.segment(),
                        entry.slot(),
                        entry.content().offsetBlocks(),
                        blocks(entry.content().chunk().lengthBytes()));
                  } finally {
                    lock.unlock();
                  }
                }
              } finally {
                putBack(gone.subList(cleared, gone.size()));
              }
              return true;
            })
        .await();
  }

  /**
   * Slots that could not be cleared are on the disk still: their chunks are held again, so that a
   * second try does not take them for deleted.
   */
  private void putBack(List<Entry> entries) {
    lock.lock();
    try {
      for (Entry entry : entries) {
        if (!index.containsKey(entry.content().chunk().id())) {
          put(entry);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Frees room once its slot is clear; does not wait.
   *
   * @param slotWritten whether there may be anything to clear
   * @param ended done with lock held whatever happens
   */
  private Outcome<Boolean> clear(
      Segment segment, int slot, int start, int blocks, boolean slotWritten, Runnable ended) {
    Outcome<Boolean> cleared =
        submitWrite(
            "clearing a slot",
            () -> {
              try {
                if (slotWritten) {
                  segment.writeFully(ZEROS.duplicate(), (long) slot * BLOCK_BYTES);
                }
              } finally {
                lock.lock();
                try {
                  ended.run();
                } finally {
                  lock.unlock();
                }
              }
              lock.lock();
              try {
                free(segment, slot, start, blocks);
              } finally {
                lock.unlock();
              }
              return true;
            });
    cleared.whenDone(done ->
        done.failure()
            .filter(wrong -> !closed)
            .ifPresent(wrong ->
                LOG.error(
                    "slot {} of {} could not be cleared; its room stays taken: {}",
                    slot,
                    segment.path,
                    wrong.toString())));
    return cleared;
  }

  private void free(Segment segment, int slot, int start, int blocks) {
    segment.extents.give(start, blocks);
    segment.usedSlots.clear(slot);
    usedBytes -= (long) blocks * BLOCK_BYTES;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return; // with its node, and by whoever opened it
      }
      closed = true;
    } finally {
      lock.unlock();
    }
    writers.shutdown();
    readers.shutdown();
    try {
      if (!writers.awaitTermination(5, TimeUnit.SECONDS)
          || !readers.awaitTermination(5, TimeUnit.SECONDS)) {
        LOG.warn("volume {} still had I/O under way after 5 s", directory);
      } else {
        syncAll();
      }
      for (Segment segment : List.copyOf(segments)) {
        segment.channel.close();
      }
      lockFile.close();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
    }
  }

  /** So that the next boot of the machine need not look at anything. */
  private void syncAll() {
    lock.lock();
    try {
      if (!unsettled.isEmpty() || meta.boot() != incarnation.boot() || fault.get() != null) {
        return;
      }
      syncSegments();
      meta = meta.withAllSynced();
      meta.write(directory);
    } catch (IOException failure) {
      LOG.warn("volume {} was not synced when it was closed: {}", directory, failure.toString());
    } finally {
      lock.unlock();
    }
  }

  private void syncSegments() throws IOException {
    try (ThreadPoolExecutor threads = pool("sync", SYNCS_AT_ONCE)) {
      var syncs = new ArrayList<Future<?>>();
      for (Segment segment : segments) {
        syncs.add(
            threads.submit(() -> {
              segment.channel.force(true);
              return true;
            }));
      }
      for (Future<?> sync : syncs) {
        sync.get();
      }
    } catch (ExecutionException failure) {
      throw new IOException(failure);
    } catch (InterruptedException cancelled) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("closing " + directory);
    }
  }

  /**
   * One chunk being written; its slices are written one after the other, those of several chunks at
   * once.
   */
  private final class DiskAppender implements ChunkAppender {
    private record Pending(int offset, Bytes slice, Outcome<Void> done) {}

    private final Segment segment;
    private final int slot;
    private final int start;
    private final int blocks;
    private final long fresh;
    private final ChunkId chunk;
    private final GroupId group;
    private final Epoch epoch;
    private final int maxLengthBytes;
    private final Durability durability;
    private final ReentrantLock own = new ReentrantLock();
    // Guarded by own.
    private final ArrayDeque<Pending> pending = new ArrayDeque<>();
    private boolean running;
    private boolean ended;
    private boolean freed;
    private boolean slotTouched;
    private int takenBytes;
    private @Nullable Throwable failure;
    private Optional<Outcome<Boolean>> idle = Optional.empty();
    // The running task's.
    private final List<Integer> blockCrcs = new ArrayList<>();
    private int blockCrc;
    private int blockFill;
    private int writtenBytes;
    private @Nullable ByteBuffer tail; // the last block when it is not whole, for the next write

    DiskAppender(
        Segment segment,
        int slot,
        int start,
        int blocks,
        long fresh,
        ChunkId chunk,
        GroupId group,
        Epoch epoch,
        int maxLengthBytes,
        Durability durability) {
      this.fresh = fresh;
      this.segment = segment;
      this.slot = slot;
      this.start = start;
      this.blocks = blocks;
      this.chunk = chunk;
      this.group = group;
      this.epoch = epoch;
      this.maxLengthBytes = maxLengthBytes;
      this.durability = durability;
    }

    @Override
    public Outcome<Void> write(int offset, Bytes slice, int crc32c) {
      var done = new Outcome<Void>(env);
      own.lock();
      try {
        if (ended || failure != null) {
          done.fail(
              failure != null
                  ? failure
                  : new ForebayException(ErrorCode.CANCELLED, "the append was ended"));
          return done;
        }
        if (offset != takenBytes || slice.length() > maxLengthBytes - offset) {
          throw new IllegalArgumentException(
              "slice at "
                  + offset
                  + "+"
                  + slice.length()
                  + " after "
                  + takenBytes
                  + " of "
                  + maxLengthBytes);
        }
        if (!running) {
          // Waits for own before it looks at what is pending.
          try {
            writers.execute(this::drain);
          } catch (RejectedExecutionException stopped) {
            failure = closedVolume();
            done.fail(failure);
            return done;
          }
          running = true;
        }
        takenBytes += slice.length();
        queuedBytes.addAndGet(slice.length());
        pending.add(new Pending(offset, slice.retain(), done));
      } finally {
        own.unlock();
      }
      return done;
    }

    private void drain() {
      while (true) {
        Pending next;
        boolean skip;
        own.lock();
        try {
          next = pending.poll();
          if (next == null) {
            running = false;
            idle.ifPresent(waiting -> waiting.complete(true));
            idle = Optional.empty();
            if (ended) {
              giveBack();
            }
            return;
          }
          skip = failure != null || ended;
        } finally {
          own.unlock();
        }
        Throwable wrong =
            skip ? new ForebayException(ErrorCode.CANCELLED, "the append was ended") : null;
        try {
          if (wrong == null) {
            put(next.slice());
          }
        } catch (IOException io) {
          wrong = writeFault("writing " + chunk, io);
        } catch (RuntimeException | Error bug) {
          // Also what memory lacks for a moment must not leave the chunk standing.
          wrong = bug;
        } finally {
          dequeued(next.slice().length());
          next.slice().release();
        }
        if (wrong == null) {
          complete(next.done());
        } else {
          own.lock();
          try {
            failure = failure == null ? wrong : failure;
          } finally {
            own.unlock();
          }
          next.done().fail(wrong);
        }
      }
    }

    @SuppressWarnings("NullAway") // an Outcome of Void has no other value
    private static void complete(Outcome<Void> done) {
      done.complete(null);
    }

    private void put(Bytes slice) throws IOException {
      long position = (long) start * BLOCK_BYTES + writtenBytes;
      boolean aligned =
          tail == null
              && slice.length() % BLOCK_BYTES == 0
              && slice instanceof SlabPart part
              && part.offset() % BLOCK_BYTES == 0;
      // Taken already where the slice came in, unless a slice before it ended inside of a block.
      boolean known = slice instanceof SlabPart && blockFill % BlockCrcs.BLOCK_BYTES == 0;
      if (known && slice instanceof SlabPart part) {
        int at = 0;
        for (int each : part.blockCrcs()) {
          int count = Math.min(BlockCrcs.BLOCK_BYTES, slice.length() - at);
          addCrc(each, count);
          at += count;
        }
      }
      if (aligned && slice instanceof SlabPart part) {
        if (!known) {
          crc(part.buffer());
        }
        segment.writeFully(part.buffer(), position);
      } else {

        // Piece by piece through the bounce buffer, each behind the unwhole block left before it.
        int most = BOUNCE_BYTES - BLOCK_BYTES;
        for (int from = 0; from < slice.length(); from += most) {
          Bytes piece = slice.slice(from, Math.min(most, slice.length() - from));
          try {
            putBounced(piece, position + from, known);
          } finally {
            piece.release();
          }
        }
      }
      writtenBytes += slice.length();
    }

    private void putBounced(Bytes piece, long position, boolean crcKnown) throws IOException {
      ByteBuffer buffer = bounce.get().duplicate().clear();
      int prefix = 0;
      if (tail != null) {
        prefix = tail.flip().remaining();
        buffer.put(tail);
        tail = null;
      }
      piece.copyTo(buffer);
      int done = buffer.position();
      if (!crcKnown) {
        crc(buffer.duplicate().position(prefix).limit(done));
      }
      int whole = done / BLOCK_BYTES * BLOCK_BYTES;
      if (whole < done) {
        tail = ByteBuffer.allocate(BLOCK_BYTES);
        tail.put(buffer.duplicate().position(whole).limit(done));
        while (buffer.position() % BLOCK_BYTES != 0) {
          buffer.put((byte) 0);
        }
      }
      segment.writeFully(buffer.flip(), position - prefix);
    }

    private void crc(ByteBuffer bytes) {
      Passes.checksummed(bytes.remaining());
      int size = Slot.crcBlockBytes(maxLengthBytes);
      while (bytes.hasRemaining()) {
        int count = Math.min(size - blockFill, bytes.remaining());
        var crc = new CRC32C();
        crc.update(bytes.duplicate().limit(bytes.position() + count));
        bytes.position(bytes.position() + count);
        addCrc((int) crc.getValue(), count);
      }
    }

    /** The next bytes of the block at hand; they do not reach beyond it. */
    private void addCrc(int crc, int count) {
      blockCrc = Crc32cCombiner.combine(blockCrc, crc, count);
      blockFill += count;
      if (blockFill == Slot.crcBlockBytes(maxLengthBytes)) {
        endBlock();
      }
    }

    private void endBlock() {
      blockCrcs.add(blockCrc);
      blockCrc = 0;
      blockFill = 0;
    }

    private void awaitIdle() {
      Outcome<Boolean> waiting;
      own.lock();
      try {
        if (!running && pending.isEmpty()) {
          return;
        }
        waiting = idle.orElseGet(() -> new Outcome<>(env));
        idle = Optional.of(waiting);
      } finally {
        own.unlock();
      }
      waiting.await();
    }

    @Override
    public StoredChunk commit(int lengthBytes, int crc32c) {
      return end(lengthBytes, crc32c, false);
    }

    @Override
    public StoredChunk replace(int lengthBytes, int crc32c) {
      return end(lengthBytes, crc32c, true);
    }

    private StoredChunk end(int lengthBytes, int crc32c, boolean replaces) {
      awaitIdle();
      own.lock();
      try {
        if (failure != null) {
          abort();
          throw ForebayException.wrap(failure);
        }
        if (ended) {
          throw new ForebayException(
              ErrorCode.CANCELLED, "the append of " + chunk + " was ended before");
        }
      } finally {
        own.unlock();
      }
      int size = Slot.crcBlockBytes(maxLengthBytes);
      int lastFill = blockFill;
      if (blockFill > 0) {
        endBlock();
      }
      int crc = 0;
      for (int i = 0; i < blockCrcs.size(); i++) {
        boolean last = i == blockCrcs.size() - 1;
        crc = Crc32cCombiner.combine(crc, blockCrcs.get(i), last && lastFill > 0 ? lastFill : size);
      }
      if (writtenBytes != lengthBytes || crc != crc32c || lengthBytes == 0) {
        abort();
        throw new ForebayException(
            ErrorCode.CHECKSUM_MISMATCH,
            "chunk "
                + chunk
                + " was sent as "
                + lengthBytes
                + " bytes and arrived as "
                + writtenBytes
                + ", or with another CRC32C");
      }
      var stored = new StoredChunk(chunk, group, epoch, lengthBytes, crc32c);
      var content =
          new Slot(
              stored,
              durability == Durability.SYNCED,
              start,
              size,
              blockCrcs.stream().mapToInt(Integer::intValue).toArray());
      writeSlot(content);
      lock.lock();
      try {
        Entry before = index.get(chunk);
        StoredChunk old = before == null ? stored : before.content().chunk();
        boolean same = old.lengthBytes() == lengthBytes && old.crc32c() == crc32c;
        own.lock();
        try {
          ended = true;
          freed = true;
        } finally {
          own.unlock();
        }
        boolean unsure = before != null && same && forgetUnsettled(old.group(), chunk);
        if (before != null && !(replaces && same) && !unsure) {
          // Stored twice at once: the first stays, this one's slot is cleared before its room is
          // given away.
          free(true);
          if (replaces) {
            throw new ForebayException(
                ErrorCode.CHECKSUM_MISMATCH,
                "chunk " + chunk + " is held on volume " + id + " as other bytes");
          }
          return old;
        }
        int kept = DiskVolume.blocks(lengthBytes);
        settle(kept);
        segment.extents.give(start + kept, blocks - kept);
        usedBytes -= (long) (blocks - kept) * BLOCK_BYTES;
        // In its place, for it is held all the while: whoever lists the group must not miss it.
        DiskVolume.this.put(new Entry(segment, slot, content));
        if (before != null && !old.group().equals(group)) {
          Optional.ofNullable(groups.get(old.group())).ifPresent(left -> left.remove(chunk));
        }
        if (before != null) {
          clear(
              before.segment(),
              before.slot(),
              before.content().offsetBlocks(),
              DiskVolume.blocks(old.lengthBytes()),
              true,
              () -> {});
        }
        return stored;
      } finally {
        lock.unlock();
      }
    }

    /** Data first, then the slot; where asked for each is synced, together with other chunks'. */
    private void writeSlot(Slot content) {
      try {
        if (durability == Durability.SYNCED) {
          segment.commits.sync().await();
          requireSound();
        }
      } catch (ForebayException wrong) {
        abort();
        throw wrong;
      }
      own.lock();
      try {
        slotTouched = true;
      } finally {
        own.unlock();
      }
      Outcome<Boolean> written =
          submitWrite(
              "writing the slot of " + chunk,
              () -> {
                ByteBuffer block = bounce.get().duplicate().clear();
                content.write(block);
                segment.writeFully(block.flip(), (long) slot * BLOCK_BYTES);
                return true;
              });
      try {
        written.await();
        if (durability == Durability.SYNCED) {
          segment.commits.sync().await();
          requireSound();
        }
      } catch (ForebayException wrong) {
        // Clears the slot, and must not overtake its writing when the wait was interrupted.
        written.whenDone(any -> abort());
        throw wrong;
      }
    }

    /** With lock held, when the append is over: its room is the file system's no more to give. */
    private void settle(int writtenBlocks) {
      promisedBytes -= fresh;
      segment.touched.set(start, start + writtenBlocks);
    }

    private void free(boolean slotWritten) {
      int writtenBlocks = DiskVolume.blocks(writtenBytes);
      clear(segment, slot, start, blocks, slotWritten, () -> settle(writtenBlocks));
    }

    @Override
    public void abort() {
      own.lock();
      try {
        if (ended) {
          return;
        }
        ended = true;
        if (!running) {
          giveBack();
        }
      } finally {
        own.unlock();
      }
    }

    /** With own held, once nothing writes any more. */
    private void giveBack() {
      if (freed) {
        return;
      }
      freed = true;
      free(slotTouched);
    }
  }
}
