package io.forebay.store.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Real files on a disk whose power is cut amid its writes and syncs. At that moment each sector
 * that was written since its file was last synced has its new content or the one before, as the
 * seed has it; from then on everything fails.
 */
final class ForgetfulDisk implements SegmentFiles {
  static final int SECTOR_BYTES = 512;

  private final SplittableRandom random;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final List<Channel> channels = new ArrayList<>();
  private long stepsLeft;
  private boolean off;

  /**
   * @param steps writes and syncs until the power is cut, which is in the middle of the next one
   */
  ForgetfulDisk(long seed, long steps) {
    this.random = new SplittableRandom(seed);
    this.stepsLeft = steps;
  }

  @Override
  public FileChannel open(Path path, Set<OpenOption> options) throws IOException {
    var channel = new Channel(FileChannel.open(path, options));
    lock.lock();
    try {
      channels.add(channel);
    } finally {
      lock.unlock();
    }
    return channel;
  }

  /** Whether anything that was written was not synced, and the power is on. */
  boolean mayForget() {
    lock.lock();
    try {
      return channels.stream().anyMatch(channel -> !channel.before.isEmpty());
    } finally {
      lock.unlock();
    }
  }

  /** The power is cut when it is time. With lock held. */
  private void step() throws IOException {
    requirePower();
    if (stepsLeft-- == 0) {
      off = true;
      for (Channel channel : channels) {
        channel.forget();
      }
      requirePower();
    }
  }

  private void requirePower() throws IOException {
    if (off) {
      throw new IOException("Input/output error");
    }
  }

  private final class Channel extends PositionedFile {
    private final FileChannel file;
    // By sector: what it was when the file was last synced. Guarded by lock.
    private final TreeMap<Long, byte[]> before = new TreeMap<>();

    Channel(FileChannel file) {
      this.file = file;
    }

    /** All of it, nothing, or any part. */
    private void forget() throws IOException {
      int kept = random.nextInt(5);
      for (var sector : before.entrySet()) {
        if (random.nextInt(4) >= kept) {
          file.write(ByteBuffer.wrap(sector.getValue()), sector.getKey() * SECTOR_BYTES);
        }
      }
      before.clear();
    }

    @Override
    public int read(ByteBuffer target, long position) throws IOException {
      lock.lock();
      try {
        requirePower();
        return file.read(target, position);
      } finally {
        lock.unlock();
      }
    }

    @Override
    public int write(ByteBuffer source, long position) throws IOException {
      lock.lock();
      try {
        requirePower();
        long end = position + source.remaining();
        for (long sector = position / SECTOR_BYTES; sector * SECTOR_BYTES < end; sector++) {
          if (!before.containsKey(sector)) {
            ByteBuffer old = ByteBuffer.allocate(SECTOR_BYTES);
            file.read(old, sector * SECTOR_BYTES);
            before.put(sector, old.array());
          }
        }
        int written = file.write(source, position);
        step();
        return written;
      } finally {
        lock.unlock();
      }
    }

    @Override
    public void force(boolean metaData) throws IOException {
      lock.lock();
      try {
        step();
        before.clear();
      } finally {
        lock.unlock();
      }
    }

    @Override
    public long size() throws IOException {
      return file.size();
    }

    @Override
    protected void implCloseChannel() throws IOException {
      file.close();
    }
  }
}
