package io.forebay.store.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** Real files whose reads, writes and syncs can be made to fail as a disk's do, or to wait. */
final class FailingDisk implements SegmentFiles {
  volatile boolean failsReads;
  volatile boolean failsWrites;
  volatile boolean failsSyncs;
  volatile boolean lacksRoomInSyncs;
  volatile boolean lacksFiles;
  volatile boolean lacksMemory;

  /** Writes and syncs wait for it. */
  volatile CountDownLatch gate = new CountDownLatch(0);

  final AtomicInteger syncs = new AtomicInteger();

  @Override
  public FileChannel open(Path path, Set<OpenOption> options) throws IOException {
    if (lacksFiles) {
      throw new FileSystemException(path.toString(), null, "Too many open files");
    }
    return new Channel(FileChannel.open(path, options));
  }

  private void pass() throws IOException {
    try {
      gate.await();
    } catch (InterruptedException stopped) {
      throw new IOException(stopped);
    }
  }

  private static IOException error() {
    return new IOException("Input/output error");
  }

  private final class Channel extends PositionedFile {
    private final FileChannel file;

    Channel(FileChannel file) {
      this.file = file;
    }

    @Override
    public int read(ByteBuffer target, long position) throws IOException {
      if (failsReads) {
        throw error();
      }
      return file.read(target, position);
    }

    @Override
    public int write(ByteBuffer source, long position) throws IOException {
      pass();
      if (failsWrites) {
        throw error();
      }
      if (lacksMemory) {
        throw new OutOfMemoryError("Cannot reserve direct buffer memory, says the test");
      }
      return file.write(source, position);
    }

    @Override
    public void force(boolean metaData) throws IOException {
      syncs.incrementAndGet();
      pass();
      if (failsSyncs) {
        throw error();
      }
      if (lacksRoomInSyncs) {
        throw new IOException("No space left on device");
      }
      file.force(metaData);
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
