package io.forebay.app.bench;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A client of {@code bench checkpoint}: a process of its own on its host, which lives for all of
 * the bench, so that its compiler rests when it counts. For each job it reads a line with the job,
 * says that it is ready, waits for a line, works, and says in a line of JSON what it took: bytes
 * and seconds.
 */
final class CheckpointWorker {
  /** What a client does. */
  enum What {
    /** Makes the bucket. */
    MAKE,
    /** Writes an object. */
    WRITE,
    /** Reads an object. */
    READ,
    /** Writes objects of one chunk, one after the other. */
    CHUNKS,
    /** Writes an object, and times its way to the store. */
    FLUSH,
    /** Writes objects until it is told to stop. */
    BUSY
  }

  /**
   * One thing to do.
   *
   * @param rank whose object is written or read
   * @param replicas which bucket
   * @param mebibytes of the object
   * @param store URL of the store for what is flushed; {@link #NO_STORE} for the rest
   */
  record Job(What what, int rank, int replicas, int mebibytes, String store) {
    static final String NO_STORE = "-";

    static Job parse(String line) {
      String[] words = line.split(" ", -1);
      return new Job(
          What.valueOf(words[0]),
          Integer.parseInt(words[1]),
          Integer.parseInt(words[2]),
          Integer.parseInt(words[3]),
          words[4]);
    }

    String line() {
      return what + " " + rank + " " + replicas + " " + mebibytes + " " + store;
    }

    boolean flushes() {
      return !store.equals(NO_STORE);
    }

    String bucket() {
      return "bench-" + replicas + (flushes() ? "-store" : "");
    }

    String key() {
      return "rank-" + rank;
    }
  }

  private static final int CHUNK_MIB = BucketSpec.DEFAULT_CHUNK_BYTES >> 20;
  private static final int CHUNKS = 50;
  private static final int BUSY_MIB = 128;
  private static final long FLUSH_NANOS = 600_000_000_000L;
  // What is overwritten must make room while the bench runs.
  private static final long READ_GRACE_MILLIS = 1_000;

  private final Connection connection;
  private final BufferedReader orders =
      new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

  private CheckpointWorker(Connection connection) {
    this.connection = connection;
  }

  /**
   * Works until its standard input ends.
   *
   * @param address of the server that it asks
   */
  static void run(String address) throws IOException {
    try (Connection connection = Connection.open(address, CheckpointBench.SECRET)) {
      new CheckpointWorker(connection).run();
    }
  }

  private void run() throws IOException {
    for (String line = orders.readLine(); line != null; line = orders.readLine()) {
      System.out.println("ready");
      if (orders.readLine() == null) {
        return;
      }
      long begun = System.nanoTime();
      Map<String, Object> result = work(Job.parse(line));
      // Its own, unless it timed only a part.
      result.putIfAbsent("seconds", (System.nanoTime() - begun) / 1e9);
      System.out.println(Json.line(result));
    }
  }

  private Map<String, Object> work(Job job) {
    var result = new LinkedHashMap<String, Object>();
    switch (job.what()) {
      case MAKE -> {
        connection
            .files()
            .createBucket(
                new BucketSpec(
                    job.bucket(),
                    new Family(job.replicas(), 2, Durability.REPLICATED),
                    job.flushes() ? job.store() : "",
                    job.flushes() ? FlushMode.BACK : FlushMode.CACHE_ONLY,
                    List.of(),
                    BucketSpec.DEFAULT_CHUNK_BYTES,
                    BucketSpec.DEFAULT_FLUSH_DELAY_MILLIS,
                    READ_GRACE_MILLIS));
        result.put("bytes", 0L);
      }
      case WRITE -> result.put("bytes", write(job, job.key(), job.mebibytes()));
      case READ -> result.put("bytes", read(job));
      case CHUNKS -> {
        double[] millis = new double[CHUNKS];
        for (int i = 0; i < CHUNKS; i++) {
          long begun = System.nanoTime();
          write(job, "chunk-" + job.rank() + "-" + i % 4, CHUNK_MIB);
          millis[i] = (System.nanoTime() - begun) / 1e6;
        }
        Arrays.sort(millis);
        result.put("bytes", ((long) CHUNKS * CHUNK_MIB) << 20);
        result.put("p50Millis", millis[CHUNKS / 2]);
        result.put("p99Millis", millis[CHUNKS * 99 / 100]);
      }
      case FLUSH -> {
        long bytes = write(job, job.key(), job.mebibytes());
        long begun = System.nanoTime();
        FlushReport report = connection.files().flush(job.bucket(), job.key(), FLUSH_NANOS);
        if (!report.complete()) {
          throw new ForebayException(ErrorCode.TIMEOUT, "the flush did not end: " + report);
        }
        result.put("bytes", bytes);
        result.put("seconds", (System.nanoTime() - begun) / 1e9);
      }
      case BUSY -> {
        var stop = new AtomicBoolean();
        Thread.ofPlatform()
            .daemon()
            .start(() -> {
              try {
                orders.readLine();
              } catch (IOException ended) {
                // Whoever would tell is gone.
              }
              stop.set(true);
            });
        long bytes = 0;
        while (!stop.get()) {
          bytes += write(job, job.key(), BUSY_MIB);
        }
        result.put("bytes", bytes);
      }
    }
    return result;
  }

  private long write(Job job, String key, int mebibytes) {
    long bytes = 0;
    Slab slab = connection.pool().take();
    byte[] noise = new byte[slab.capacity()];
    ThreadLocalRandom.current().nextBytes(noise);
    slab.buffer().put(noise);
    try (BodyWriter<ObjectInfo> writer =
        connection.files().create(job.bucket(), key, WriteOptions.DEFAULT)) {
      while (bytes < (long) mebibytes << 20) {
        Bytes slice = slab.bytes(0, slab.capacity());
        writer.write(slice);
        slice.release();
        bytes += slab.capacity();
      }
      writer.publish(Optional.empty());
    }
    slab.release();
    return bytes;
  }

  private long read(Job job) {
    long bytes = 0;
    try (ObjectReader reader =
        connection.files().open(job.bucket(), job.key(), ReadConditions.NONE)) {
      long end = Math.min(reader.info().lengthBytes(), (long) job.mebibytes() << 20);
      while (bytes < end) {
        Bytes slice = reader.read(bytes, 1 << 20);
        bytes += slice.length();
        slice.release();
      }
    }
    return bytes;
  }
}
