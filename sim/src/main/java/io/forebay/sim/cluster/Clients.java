package io.forebay.sim.cluster;

import io.forebay.sim.world.SimEnv;
import java.util.List;
import java.util.random.RandomGenerator;

/** Clients that do by chance what clients do, and a trainer who writes checkpoints. */
final class Clients {
  private static final long SECOND = 1_000_000_000L;
  private static final int AGAIN = 5; // of so many checkpoints some are written anew

  private final SimEnv client;
  private final RandomGenerator random;
  private final Judge judge;
  private final SimCluster cluster;
  private final KeySpace keys;
  private final Operations operations;
  private final List<Place> places;
  private long nextUpload = 1;
  private long nextStep = 1;

  /**
   * @param places the scenario's own list, of two once it has begun
   */
  Clients(
      SimEnv client,
      RandomGenerator random,
      Judge judge,
      SimCluster cluster,
      KeySpace keys,
      Operations operations,
      List<Place> places) {
    this.client = client;
    this.random = random;
    this.judge = judge;
    this.cluster = cluster;
    this.keys = keys;
    this.operations = operations;
    this.places = places;
  }

  /** One operation at a random node. */
  void operation() {
    int node = random.nextInt(cluster.size());
    if (!cluster.runs(node)) {
      return;
    }
    Place place = places.get(random.nextInt(places.size()));
    if (place.backed() && random.nextInt(4) == 0) {
      onShared(node, place);
      return;
    }
    String key = keys.key();
    int what = random.nextInt(100);
    if (what < 45) {
      operations.write(node, place, key);
    } else if (what < 82) {
      operations.read(node, place, key, false);
    } else if (what < 90) {
      operations.delete(node, place, key);
    } else if (what < 94) {
      operations.copy(node, place, key, keys.key());
    } else if (what < 95) {
      operations.rename(node, place, key, keys.key());
    } else if (what < 96) {
      if (random.nextBoolean()) {
        int from = random.nextInt(2);
        operations.rename(node, place, KeySpace.moved(from), KeySpace.moved(1 - from));
      } else {
        operations.cross(node, places.get(1 - places.indexOf(place)), key, place);
      }
    } else if (what < 98) {
      operations.upload(node, place, "u/" + nextUpload++);
    } else {
      operations.look(node, place, key);
    }
  }

  /** What others write, too. */
  private void onShared(int node, Place place) {
    int what = random.nextInt(10);
    if (what < 4) {
      operations.write(node, place, keys.shared());
    } else if (what < 8) {
      operations.read(node, place, keys.shared(), false);
    } else if (what < 9) {
      operations.delete(node, place, keys.shared());
    } else {
      operations.decide(node, place);
    }
  }

  /**
   * A trainer writes checkpoints, one after the other; one of which a file fails is given up.
   *
   * @param sends whether some of them go to the store; it then overwrites a file of older ones at
   *     times, else it writes them anew in place
   */
  void train(Place place, boolean sends, long until) {
    while (operations.asked() < until && judge.sound()) {
      client.sleep(random.nextLong(SECOND));
      boolean again = nextStep > AGAIN && random.nextInt(3) == 0;
      long step = again ? nextStep - random.nextInt(1, AGAIN) : nextStep++;
      String directory = KeySpace.TRAINED + step + "/";
      // What an upload holds is known by its key, so each key has one.
      boolean written =
          file(place, directory + "0", false)
              && !(again && sends)
              && file(place, directory + "1/1", !again && random.nextBoolean())
              && file(place, directory + KeySpace.MARKER, false);
      int node = random.nextInt(cluster.size());
      if (written && cluster.runs(node)) {
        operations.read(node, place, directory + "0", false);
      }
    }
  }

  private boolean file(Place place, String key, boolean uploaded) {
    int node = random.nextInt(cluster.size());
    return cluster.runs(node)
        && (uploaded ? operations.upload(node, place, key) : operations.write(node, place, key));
  }
}
