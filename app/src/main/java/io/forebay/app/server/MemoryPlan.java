package io.forebay.app.server;

import com.sun.management.HotSpotDiagnosticMXBean;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.lang.management.ManagementFactory;
import java.util.OptionalLong;

/**
 * What a node's setting {@code memory} is divided into: pools of slabs of 1 MiB, each for those who
 * must not wait for users of another (docs/decisions/0009). The sum is the setting; nothing of a
 * body lies elsewhere for longer than a copy takes. Beside them the memory tier, for which nobody
 * waits.
 *
 * @param doorSlabs bodies on their way in at the S3 door, and what is copied from other stores
 * @param callSlabs bodies on their way in over the wire, and what peers answer
 * @param uploadSlabs slices of chunks that arrive from other nodes
 * @param nodeSlabs what is read from own disks, for doors, peers and the flusher
 * @param writeBytes what bodies may hold until they are acknowledged; both pools that they come
 *     from are larger, so that whoever holds some always gets the next
 * @param readSlices what readers may hold of the pools that they read into
 * @param wireWriters bodies that may be on their way in over the wire at once
 * @param tierBytes what is kept of what is read often
 */
record MemoryPlan(
    int doorSlabs,
    int callSlabs,
    int uploadSlabs,
    int nodeSlabs,
    long writeBytes,
    int readSlices,
    int wireWriters,
    long tierBytes) {
  static final int SLAB_BYTES = 1 << 20;
  private static final int LEAST_MIB = 224;
  private static final int USUAL_MIB = 512;
  // One chunk of the largest size.
  private static final int LEAST_WRITE_MIB = 64;
  private static final int MARGIN = 8;
  // What one body over the wire has under way: RemoteFileService's window.
  private static final int WINDOW = 8;
  // Beside the slabs: their alignment, and what the network library has under way.
  private static final int BESIDE_MIB = 16;
  // And the buffers of each disk's threads, through which what is not aligned goes.
  private static final int BESIDE_DISK_MIB = 8;
  private static final int USUAL_TIER_MIB = 1024;

  /**
   * Divides.
   *
   * @param memoryBytes 0: what is usual, or as much of it as the JVM may have
   * @param memoryTierBytes empty: half of what the JVM may have beside it, or what is usual
   * @param disks data directories
   * @throws ForebayException CONFIGURATION when that is too little, or more than the JVM may have
   */
  static MemoryPlan of(long memoryBytes, OptionalLong memoryTierBytes, int disks) {
    long allowed = allowedBytes() / SLAB_BYTES;
    long beside = BESIDE_MIB + (long) BESIDE_DISK_MIB * disks;
    long mebibytes =
        memoryBytes > 0
            ? memoryBytes / SLAB_BYTES
            : Math.clamp(allowed - beside, LEAST_MIB, USUAL_MIB);
    if (mebibytes < LEAST_MIB) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "memory: "
              + mebibytes
              + "MiB is too little; a node needs at least "
              + LEAST_MIB
              + "MiB for buffers");
    }
    if (mebibytes + beside > allowed) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "memory: "
              + mebibytes
              + "MiB does not fit: this JVM may have "
              + allowed
              + " MiB outside its heap; give it more (FOREBAY_JAVA_OPTS=-XX:MaxDirectMemorySize="
              + (mebibytes + beside)
              + "m)"
              + (allowed - beside < LEAST_MIB
                  ? ""
                  : " or set at most " + (allowed - beside) + "MiB"));
    }
    long left = allowed - mebibytes - beside;
    long tierBytes = memoryTierBytes.orElse(Math.min(left / 2, USUAL_TIER_MIB) * SLAB_BYTES);
    if (tierBytes / SLAB_BYTES > left) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "memoryTier: "
              + tierBytes / SLAB_BYTES
              + "MiB does not fit beside memory: "
              + mebibytes
              + "MiB: this JVM may have "
              + allowed
              + " MiB outside its heap; give it more (FOREBAY_JAVA_OPTS=-XX:MaxDirectMemorySize="
              + (mebibytes + beside + tierBytes / SLAB_BYTES)
              + "m) or set at most "
              + left
              + "MiB");
    }
    int all = (int) Math.min(mebibytes, Integer.MAX_VALUE);
    int write = Math.max(LEAST_WRITE_MIB, all / 4);
    int spare = all - 2 * (write + MARGIN);
    int call = write + MARGIN + spare * 3 / 10;
    int upload = spare * 3 / 10;
    int node = all - (write + MARGIN) - call - upload;
    // Beside what bodies hold until they are acknowledged: half for those that begin, half for
    // readers.
    int half = (call - write) / 2;
    return new MemoryPlan(
        write + MARGIN,
        call,
        upload,
        node,
        (long) write * SLAB_BYTES,
        Math.min(half, node / 2),
        half / WINDOW,
        tierBytes);
  }

  /** What the JVM lets be allocated outside its heap. */
  private static long allowedBytes() {
    String given =
        ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
            .getVMOption("MaxDirectMemorySize")
            .getValue();
    long bytes = Long.parseLong(given);
    return bytes > 0 ? bytes : Runtime.getRuntime().maxMemory();
  }
}
