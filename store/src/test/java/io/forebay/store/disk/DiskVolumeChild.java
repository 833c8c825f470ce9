package io.forebay.store.disk;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Durability;
import io.forebay.core.env.TestEnv;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.SessionId;
import io.forebay.core.volume.ChunkAppender;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Random;

/**
 * A process that appends and deletes until it is killed, from four threads. It prints "kept", a
 * sequence and a length after a commit, "deleting" and "deleted" around a deletion.
 */
final class DiskVolumeChild {
  private DiskVolumeChild() {}

  public static void main(String[] arguments) throws InterruptedException {
    var env = new TestEnv();
    DiskVolume volume =
        DiskVolume.open(env, Path.of(arguments[0]), new DiskSettings(64 << 20, 16 << 20, 3, true));
    long seed = Long.parseLong(arguments[1]);
    var threads = new Thread[4];
    for (int t = 0; t < threads.length; t++) {
      int number = t;
      threads[t] =
          Thread.ofPlatform().start(() -> churn(volume, number, new Random(seed + number)));
    }
    for (Thread thread : threads) {
      thread.join();
    }
  }

  private static void churn(DiskVolume volume, int number, Random random) {
    var held = new ArrayDeque<Long>();
    for (long i = 0; ; i++) {
      long sequence = 1 + i * 4 + number;
      int length = 1 + random.nextInt(600_000);
      var id = new ChunkId(new SessionId(3), sequence);
      ChunkAppender appender =
          volume.append(id, new GroupId(1), new Epoch(1), 1 << 20, Durability.REPLICATED);
      Bytes all = new Synthetic(sequence, 0, length);
      for (int at = 0; at < length; at += 100_000) {
        Bytes slice = all.slice(at, Math.min(100_000, length - at));
        appender.write(at, slice, slice.crc32c());
      }
      appender.commit(length, all.crc32c());
      say("kept " + sequence + " " + length);
      held.add(sequence);
      if (held.size() > 12) {
        long oldest = held.remove();
        say("deleting " + oldest);
        volume.delete(List.of(new ChunkId(new SessionId(3), oldest)));
        say("deleted " + oldest);
      }
    }
  }

  private static void say(String line) {
    System.out.println(line + " .");
  }
}
