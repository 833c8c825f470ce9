package io.forebay.node.write;

import io.forebay.core.env.Env;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.ChunkUpload;
import io.forebay.core.net.Hop;
import io.forebay.core.net.HopAck;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Sees which member of a chain holds one try of a chunk up: who is behind the hop before it. Those
 * after it have what it sends on, and those before it are ahead by a window.
 *
 * <p>For the thread that feeds, and then for the one that finishes.
 */
final class HopWatch {
  // Clearly behind is by a part of the chunk, or by half a window.
  private static final int BEHIND_PART = 4;
  private static final int BEHIND_BYTES = 2 << 20;
  // A try that is looked at later was not the one that stood: this node did.
  private static final long MOST_LOOK_NANOS = 200_000_000L;
  private static final long WINDOW_NANOS = 200_000_000L;
  // By its first bytes a hop is judged, before it is held up by those behind it: an eighth of a
  // window, too few of which to tell a speed are none.
  private static final int FIRST_BYTES = 512 << 10;

  private final Env env;
  private final NodeId self;
  private final List<Hop> chain;
  private final ChunkUpload upload;
  private final LinkRates rates;
  private final int first; // hop behind this node
  private final int[] behindLooks; // how often each hop was clearly behind the one before it
  private int looks;
  private int fedBytes;
  private int waitedFor = -1; // hop; -1: for none
  private long waitedForSinceNanos;
  private int had; // bytes, of that hop
  private long lastNanos;
  private long fedSinceNanos;
  private long fedFirstNanos; // took so long to send the first bytes
  private boolean tookFirst;
  private long windowNanos; // began then
  private int windowBytes; // had so many then

  HopWatch(Env env, NodeId self, List<Hop> chain, ChunkUpload upload, LinkRates rates) {
    this.env = env;
    this.self = self;
    this.chain = chain;
    this.upload = upload;
    this.rates = rates;
    this.first = chain.getFirst().node().equals(self) ? 1 : 0;
    this.behindLooks = new int[chain.size()];
    this.lastNanos = env.nanoTime();
  }

  /** So many more bytes were sent. */
  void fed(int bytes) {
    long now = env.nanoTime();
    if (fedBytes == 0) {
      fedSinceNanos = now;
    }
    if (fedBytes < FIRST_BYTES) {
      fedFirstNanos = now - fedSinceNanos;
    }
    fedBytes += bytes;
    seeFirst(upload.progressBytes());
  }

  /**
   * Counts who is clearly behind.
   *
   * @param lengthBytes of the chunk, all of which is here
   */
  void compare(int lengthBytes) {
    List<Integer> progress = upload.progressBytes();
    int clearly = clearly(lengthBytes);
    int before = fedBytes;
    looks++;
    for (int i = 0; i < Math.min(progress.size(), behindLooks.length); i++) {
      behindLooks[i] += before - progress.get(i) >= clearly ? 1 : 0;
      before = progress.get(i);
    }
  }

  private static int clearly(int lengthBytes) {
    return Math.min(lengthBytes / BEHIND_PART, BEHIND_BYTES);
  }

  /**
   * Sees for whom the try waits, and what that hop has taken since it was looked last. To be called
   * while the try waits, not while its client does: a hop whose refusal is not known here yet takes
   * nothing, too.
   *
   * @param lengthBytes of the chunk, as far as it is here
   */
  void look(int lengthBytes) {
    long now = env.nanoTime();
    List<Integer> progress = upload.progressBytes();
    seeFirst(progress);
    if (now - windowNanos >= WINDOW_NANOS && first < progress.size()) {
      int took = progress.get(first);
      if (windowNanos >= fedSinceNanos && took > windowBytes) {
        rates.tookAtLeast(chain.get(first).volume(), windowNanos, took - windowBytes);
      }
      windowNanos = now;
      windowBytes = took;
    }
    int waits = last(progress, Math.max(1, clearly(lengthBytes)));
    waits = waits < 0 ? last(progress, 1) : waits;
    if (waits != waitedFor || now - lastNanos > MOST_LOOK_NANOS) {
      waitedFor = waits;
      waitedForSinceNanos = now;
    } else if (waits >= 0 && !chain.get(waits).node().equals(self)) {
      rates.held(
          waits <= first ? Optional.empty() : Optional.of(chain.get(waits - 1).volume()),
          chain.get(waits).volume(),
          now - lastNanos,
          now - waitedForSinceNanos,
          progress.get(waits) - had);
    }
    had = waits < 0 ? 0 : progress.get(waits);
    lastNanos = now;
  }

  /**
   * The last hop that has not answered and has so many bytes less than the one before it: a window
   * that is full holds up the hop before it, too. -1 where there is none.
   */
  private int last(List<Integer> progress, int bytes) {
    List<HopAck> hops = upload.acknowledgedSoFar().hops();
    int last = -1;
    int before = fedBytes;
    for (int i = 0; i < progress.size(); i++) {
      boolean behind = before - progress.get(i) >= bytes;
      last = behind && hops.get(i).status() == HopAck.Status.UNREACHED ? i : last;
      before = progress.get(i);
    }
    return last;
  }

  /** Says how quickly this node's next hop took its first bytes, if it had to wait for nobody. */
  private void seeFirst(List<Integer> progress) {
    if (tookFirst || first >= progress.size() || progress.get(first) < FIRST_BYTES) {
      return;
    }
    tookFirst = true;
    if (env.nanoTime() - fedSinceNanos >= 2 * fedFirstNanos) { // else it is the client's speed
      rates.took(chain.get(first).volume(), fedSinceNanos, progress.get(first));
    }
  }

  /** Members that were seen behind most of the time; all where none was. */
  List<Hop> behind() {
    List<Hop> behind =
        IntStream.range(0, behindLooks.length)
            .filter(hop -> 2 * behindLooks[hop] > looks)
            .mapToObj(chain::get)
            .toList();
    return behind.isEmpty() ? chain : behind;
  }

  /**
   * Who is furthest behind the hop before it, and has not answered, the last of equals; empty where
   * a refusal is the reason why nothing goes on, or where it is this node.
   */
  Optional<Hop> furthestBehind() {
    List<Integer> progress = upload.progressBytes();
    List<HopAck> hops = upload.acknowledgedSoFar().hops();
    int lagging = -1;
    int furthest = -1;
    int before = fedBytes;
    for (int i = 0; i < Math.min(hops.size(), progress.size()); i++) {
      HopAck.Status status = hops.get(i).status();
      if (status == HopAck.Status.REFUSED || status == HopAck.Status.STALE_EPOCH) {
        return Optional.empty();
      }
      int gap = before - progress.get(i);
      // When windows are full, a hop that cannot send on is as far behind as the next one.
      boolean further = gap > furthest || (gap == furthest && gap > 0);
      if (status == HopAck.Status.UNREACHED && further) {
        furthest = gap;
        lagging = i;
      }
      before = progress.get(i);
    }
    return lagging < 0 || chain.get(lagging).node().equals(self)
        ? Optional.empty()
        : Optional.of(chain.get(lagging));
  }
}
