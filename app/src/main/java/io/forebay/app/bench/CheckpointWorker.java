package io.forebay.app.bench;

import io.forebay.app.command.Connection;
import io.forebay.app.command.Json;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
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
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A client of {@code bench checkpoint}, in a process of its own on its host. It warms up until its
 * compiler rests, says a line, waits for one, does its work, and says in a line of JSON what it
 * took: bytes, seconds, and processor seconds by kind.
 *
 * @param what it does
 * @param rank whose object it writes or reads
 * @param replicas which bucket
 * @param mebibytes per object
 * @param address of the server that it asks
 * @param store URL of the store for what is flushed; {@link #NO_STORE} for the rest
 */
record CheckpointWorker(
    What what, int rank, int replicas, int mebibytes, String address, String store) {
  static final String NO_STORE = "-";

  /** How many words make one. */
  static final int WORDS = 6;

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

  static final int WARM_UP_MIB = 128;
  private static final int WARM_UP_PASSES = 8;
  // Of this process' time; then a pass that warms up was the last.
  private static final double COMPILER_RESTS = 0.05;
  private static final int CHUNK_MIB = BucketSpec.DEFAULT_CHUNK_BYTES >> 20;
  private static final int CHUNKS = 50;
  private static final long FLUSH_NANOS = 600_000_000_000L;

  static CheckpointWorker of(List<String> words) {
    return new CheckpointWorker(
        What.valueOf(words.get(0).toUpperCase(Locale.ROOT)),
        Integer.parseInt(words.get(1)),
        Integer.parseInt(words.get(2)),
        Integer.parseInt(words.get(3)),
        words.get(4),
        words.get(5));
  }

  List<String> words() {
    return List.of(
        what.name().toLowerCase(Locale.ROOT),
        Integer.toString(rank),
        Integer.toString(replicas),
        Integer.toString(mebibytes),
        address,
        store);
  }

  private String bucket() {
    return "bench-" + replicas + (store.equals(NO_STORE) ? "" : "-store");
  }

  void run() throws IOException {
    try (Connection connection = Connection.open(address, CheckpointBench.SECRET)) {
      warmUp(connection);
      System.out.println("ready");
      var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      if (orders.readLine() == null) {
        return;
      }
      long self = ProcessHandle.current().pid();
      Map<ThreadCpu.Kind, Double> cpu = new EnumMap<>(ThreadCpu.Kind.class);
      ThreadCpu.add(cpu, ThreadCpu.of(self), -1);
      long begun = System.nanoTime();
      Map<String, Object> result = work(connection, orders);
      // Its own, unless it timed only a part.
      result.putIfAbsent("seconds", (System.nanoTime() - begun) / 1e9);
      ThreadCpu.add(cpu, ThreadCpu.of(self), 1);
      var kinds = new LinkedHashMap<String, Double>();
      cpu.forEach((kind, each) -> kinds.put(kind.name().toLowerCase(Locale.ROOT), each));
      result.put("cpu", kinds);
      System.out.println(Json.line(result));
    }
  }

  private void warmUp(Connection connection) throws IOException {
    if (what == What.MAKE) {
      connection
          .files()
          .createBucket(
              BucketSpec.of(
                  bucket(),
                  new Family(replicas, 2, Durability.REPLICATED),
                  store.equals(NO_STORE) ? "" : store));
      return;
    }
    long self = ProcessHandle.current().pid();
    for (int pass = 0; pass < WARM_UP_PASSES; pass++) {
      var cpu = new EnumMap<ThreadCpu.Kind, Double>(ThreadCpu.Kind.class);
      ThreadCpu.add(cpu, ThreadCpu.of(self), -1);
      if (what == What.READ) {
        read(connection, "rank-" + rank, WARM_UP_MIB);
      } else {
        write(connection, "warm-" + rank, WARM_UP_MIB);
      }
      ThreadCpu.add(cpu, ThreadCpu.of(self), 1);
      if (ThreadCpu.compilerShare(cpu) < COMPILER_RESTS) {
        return;
      }
    }
  }

  private Map<String, Object> work(Connection connection, BufferedReader orders)
      throws IOException {
    var result = new LinkedHashMap<String, Object>();
    switch (what) {
      case MAKE -> result.put("bytes", 0L);
      case WRITE -> result.put("bytes", write(connection, "rank-" + rank, mebibytes));
      case READ -> result.put("bytes", read(connection, "rank-" + rank, mebibytes));
      case CHUNKS -> {
        double[] millis = new double[CHUNKS];
        for (int i = 0; i < CHUNKS; i++) {
          long begun = System.nanoTime();
          write(connection, "chunk-" + rank + "-" + i % 4, CHUNK_MIB);
          millis[i] = (System.nanoTime() - begun) / 1e6;
        }
        Arrays.sort(millis);
        result.put("bytes", ((long) CHUNKS * CHUNK_MIB) << 20);
        result.put("p50Millis", millis[CHUNKS / 2]);
        result.put("p99Millis", millis[CHUNKS * 99 / 100]);
      }
      case FLUSH -> {
        String key = "rank-" + rank;
        long bytes = write(connection, key, mebibytes);
        long begun = System.nanoTime();
        FlushReport report = connection.files().flush(bucket(), key, FLUSH_NANOS);
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
          bytes += write(connection, "rank-" + rank, WARM_UP_MIB);
        }
        result.put("bytes", bytes);
      }
    }
    return result;
  }

  private long write(Connection connection, String key, int mebibytes) {
    long bytes = 0;
    Slab slab = connection.pool().take();
    byte[] noise = new byte[slab.capacity()];
    ThreadLocalRandom.current().nextBytes(noise);
    slab.buffer().put(noise);
    try (BodyWriter<ObjectInfo> writer =
        connection.files().create(bucket(), key, WriteOptions.DEFAULT)) {
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

  private long read(Connection connection, String key, int mebibytes) {
    long bytes = 0;
    try (ObjectReader reader = connection.files().open(bucket(), key, ReadConditions.NONE)) {
      long end = Math.min(reader.info().lengthBytes(), (long) mebibytes << 20);
      while (bytes < end) {
        Bytes slice = reader.read(bytes, 1 << 20);
        bytes += slice.length();
        slice.release();
      }
    }
    return bytes;
  }
}
