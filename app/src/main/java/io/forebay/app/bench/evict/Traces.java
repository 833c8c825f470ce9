package io.forebay.app.bench.evict;

import io.forebay.app.bench.evict.Trace.Kind;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** Traces of what AI clusters do, of a seed. */
final class Traces {
  private static final int DATASET_CHUNKS = 20_000;
  private static final int EPOCHS = 10;
  private static final int MODELS = 400;
  private static final int MODEL_CHUNKS = 50;
  private static final int MODEL_LOADS = 6_000;
  // Of requests to models, as measured of web objects and model hubs: between 0.7 and 1.
  private static final double MODEL_SKEW = 0.9;
  private static final int CHECKPOINT_CHUNKS = 1_000;
  private static final int CHECKPOINTS = 200;
  private static final int KEPT_CHECKPOINTS = 5;
  private static final double RESTORES = 0.2;

  private Traces() {}

  static List<Trace> all(long seed) {
    return List.of(epochs(), shuffled(seed), models(seed), checkpoints(seed), mixed(seed));
  }

  /** A dataset is written, then read from its beginning to its end, again and again. */
  private static Trace epochs() {
    var trace = new Trace("epochs");
    written(trace, 0, DATASET_CHUNKS);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
      for (int chunk = 0; chunk < DATASET_CHUNKS; chunk++) {
        trace.add(Kind.READ, chunk);
      }
    }
    return trace;
  }

  private static void written(Trace trace, int from, int count) {
    for (int chunk = from; chunk < from + count; chunk++) {
      trace.add(Kind.WRITE, chunk);
    }
  }

  /** The same, in another order each time. */
  private static Trace shuffled(long seed) {
    var random = new SplittableRandom(seed);
    var trace = new Trace("shuffled");
    written(trace, 0, DATASET_CHUNKS);
    int[] order = order(DATASET_CHUNKS);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
      shuffle(order, random);
      for (int chunk : order) {
        trace.add(Kind.READ, chunk);
      }
    }
    return trace;
  }

  private static int[] order(int count) {
    var order = new int[count];
    Arrays.setAll(order, i -> i);
    return order;
  }

  private static void shuffle(int[] order, SplittableRandom random) {
    for (int i = order.length - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      int held = order[i];
      order[i] = order[other];
      order[other] = held;
    }
  }

  /** Whole models are loaded, some far more often than others. */
  private static Trace models(long seed) {
    var random = new SplittableRandom(seed);
    var trace = new Trace("models");
    written(trace, 0, MODELS * MODEL_CHUNKS);
    double[] sums = zipf();
    int[] ranks = order(MODELS);
    shuffle(ranks, random);
    for (int load = 0; load < MODEL_LOADS; load++) {
      model(trace, 0, ranks[drawn(sums, random)]);
    }
    return trace;
  }

  private static double[] zipf() {
    var sums = new double[MODELS];
    double sum = 0;
    for (int rank = 0; rank < MODELS; rank++) {
      sum += Math.pow(rank + 1.0, -MODEL_SKEW);
      sums[rank] = sum;
    }
    return sums;
  }

  private static int drawn(double[] sums, SplittableRandom random) {
    int at = Arrays.binarySearch(sums, random.nextDouble() * sums[MODELS - 1]);
    return Math.min(MODELS - 1, at < 0 ? -at - 1 : at + 1);
  }

  private static void model(Trace trace, int first, int model) {
    for (int i = 0; i < MODEL_CHUNKS; i++) {
      trace.add(Kind.READ, first + model * MODEL_CHUNKS + i);
    }
  }

  /** Checkpoints are written, the last few are kept, and now and then the newest is read back. */
  private static Trace checkpoints(long seed) {
    var random = new SplittableRandom(seed);
    var trace = new Trace("checkpoints");
    for (int number = 0; number < CHECKPOINTS; number++) {
      checkpoint(trace, 0, number, random);
    }
    return trace;
  }

  private static void checkpoint(Trace trace, int first, int number, SplittableRandom random) {
    int begin = first + number * CHECKPOINT_CHUNKS;
    written(trace, begin, CHECKPOINT_CHUNKS);
    if (number >= KEPT_CHECKPOINTS) {
      for (int i = 0; i < CHECKPOINT_CHUNKS; i++) {
        trace.add(Kind.DROP, begin - KEPT_CHECKPOINTS * CHECKPOINT_CHUNKS + i);
      }
    }
    if (random.nextDouble() < RESTORES) {
      for (int i = 0; i < CHECKPOINT_CHUNKS; i++) {
        trace.add(Kind.READ, begin + i);
      }
    }
  }

  /** Training and serving share the disks: a shuffled dataset, models, checkpoints. */
  private static Trace mixed(long seed) {
    var random = new SplittableRandom(seed);
    var trace = new Trace("mixed");
    int models = DATASET_CHUNKS;
    int checkpoints = models + MODELS * MODEL_CHUNKS;
    written(trace, 0, checkpoints);
    double[] sums = zipf();
    int[] order = order(DATASET_CHUNKS);
    int number = 0;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
      shuffle(order, random);
      for (int i = 0; i < DATASET_CHUNKS; i++) {
        trace.add(Kind.READ, order[i]);
        if (i % (2 * MODEL_CHUNKS) == 0) { // a third of the reads
          model(trace, models, drawn(sums, random));
        }
        if (i % (10 * CHECKPOINT_CHUNKS) == 0) {
          checkpoint(trace, checkpoints, number++, random);
        }
      }
    }
    return trace;
  }
}
