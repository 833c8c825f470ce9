package io.forebay.transport.relay;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.HopAck;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One hop of one upload, as a state machine without I/O: events go in by methods, effects come out
 * through three ports. Each slice is held from its arrival until the local write is done and the
 * next hop's socket has taken it, then released, exactly once; so memory is bounded by the window,
 * and the grant to the hop before is window + released.
 *
 * <pre>
 *   local copy:  ADMITTING → TAKING → COMMITTING → DONE     (refused, failed: straight to DONE)
 *   next hops:   WAITING → OPEN → FINISHED → DONE           (broken, refused: straight to DONE)
 * </pre>
 *
 * The last acknowledgement goes out when both are DONE; that a hop behind refuses the chunk, or has
 * lost it, is said at once. What breaks one side leaves the other to complete, except that a
 * refusal here keeps the chunk from the hops behind.
 *
 * <p>Not thread-safe, and not re-entrant: an effect must not call an event method before it
 * returned ({@link RelayHop} sees to that).
 */
public final class Relay {
  /** The copy on this machine. Effects are answered by local* events. */
  public interface Local {
    /** Answered by {@link #localWritten}, exactly once for each write. */
    void write(int index, int offset, Bytes slice, int crc32c);

    /** Answered by {@link #localCommitted}. */
    void commit(int lengthBytes, int crc32c);

    /** Frees what was taken. */
    void abort();
  }

  /** The hops behind. Effects are answered by next* events. */
  public interface Next {
    /** Sends the head. */
    void open();

    /** Answered by {@link #nextSent}, exactly once for each slice. */
    void send(int index, int offset, Bytes slice, int crc32c);

    /** All slices were sent. */
    void finish(int lengthBytes, int crc32c);

    /** The upload is given up. */
    void abort(String why);
  }

  /** The hop before, or the writer. */
  public interface Upstream {
    /** May have sent so many slices in all; so far have all, and each, written. */
    void credit(int grantedSlices, int creditedBytes, List<Integer> progressBytes);

    /** What is known; nothing follows the last. */
    void acknowledge(ChunkAck ack, boolean last);
  }

  private enum LocalState {
    ADMITTING,
    TAKING,
    COMMITTING,
    DONE
  }

  private enum NextState {
    WAITING,
    OPEN,
    FINISHED,
    DONE
  }

  /** A slice that somebody still needs. */
  private static final class Held {
    final int offset;
    final Bytes slice;
    final int crc32c;
    boolean forLocal;
    boolean forNext;

    Held(int offset, Bytes slice, int crc32c, boolean forLocal, boolean forNext) {
      this.offset = offset;
      this.slice = slice;
      this.crc32c = crc32c;
      this.forLocal = forLocal;
      this.forNext = forNext;
    }
  }

  private final ChunkPut put;
  private final boolean storesHere;
  private final int windowSlices;
  private final Local local;
  private final Next next;
  private final Upstream upstream;

  private final TreeMap<Integer, Held> held = new TreeMap<>();
  private final @Nullable HopAck[] known;
  private LocalState localState;
  private NextState nextState;
  private int receivedSlices;
  private int receivedBytes;
  private int receivedCrc32c;
  private int releasedSlices;
  private boolean finishing;
  private boolean ended;

  private int localHandedSlices;
  private int localPendingWrites;
  private int localBytes;
  private boolean localLost;
  private int nextHandedSlices;
  private int nextGrantedSlices;
  private int nextCreditedBytes;
  private boolean nextLost;
  private List<Integer> nextProgress;

  private int creditedBytes;
  private boolean saidLocal;
  private int saidGrant = -1;
  private List<Integer> saidProgress = List.of();

  /**
   * @param storesHere whether {@code put.chain().get(0)} is this node; otherwise this is the
   *     writer's end and all hops are behind it
   * @param windowSlices how many slices may be held at once, at least 1
   */
  public Relay(
      ChunkPut put,
      boolean storesHere,
      int windowSlices,
      Local local,
      Next next,
      Upstream upstream) {
    this.put = put;
    this.storesHere = storesHere;
    this.windowSlices = windowSlices;
    this.local = local;
    this.next = next;
    this.upstream = upstream;
    int behind = put.chain().size() - firstBehind();
    this.known = new HopAck[put.chain().size()];
    this.localState = storesHere ? LocalState.ADMITTING : LocalState.DONE;
    this.nextState = behind > 0 ? NextState.WAITING : NextState.DONE;
    this.nextProgress = new ArrayList<>(Collections.nCopies(behind, 0));
  }

  /** Grants the window, and sends the head on if nothing is stored here. Called once, first. */
  public void begin() {
    if (ended) {
      return;
    }
    if (!storesHere) {
      openNext();
    }
    sayCredit();
  }

  /** The local copy is taken. */
  public void admitted() {
    if (ended) {
      local.abort();
      return;
    }
    if (localState == LocalState.ADMITTING) {
      localState = LocalState.TAKING;
      openNext();
      advance();
    }
  }

  /** The local copy is refused; then nothing goes to the hops behind. */
  public void refused(HopAck ack) {
    if (ended || localState != LocalState.ADMITTING) {
      return;
    }
    localState = LocalState.DONE;
    localLost = true;
    known[0] = ack;
    endNext("the hop before refused the chunk");
    advance();
  }

  /** The next slice has arrived and its CRC is verified. Retains it for as long as it is needed. */
  public void slice(Bytes slice, int crc32c) {
    if (ended || finishing) {
      return;
    }
    if (receivedSlices - releasedSlices >= windowSlices) {
      fault("the sender exceeded its window of " + windowSlices + " slices");
      return;
    }
    if (slice.length() > put.maxLengthBytes() - receivedBytes) {
      fault("the sender exceeded the chunk's " + put.maxLengthBytes() + " bytes");
      return;
    }
    held.put(
        receivedSlices,
        new Held(
            receivedBytes,
            slice.retain(),
            crc32c,
            localState != LocalState.DONE,
            nextState != NextState.DONE));
    receivedCrc32c =
        receivedSlices == 0
            ? crc32c
            : Crc32cCombiner.combine(receivedCrc32c, crc32c, slice.length());
    receivedSlices++;
    receivedBytes += slice.length();
    advance();
  }

  /** All slices have arrived. */
  public void finish(int lengthBytes, int crc32c) {
    if (ended || finishing) {
      return;
    }
    if (lengthBytes != receivedBytes || crc32c != receivedCrc32c) {
      fault(
          "the sender finished with "
              + lengthBytes
              + " bytes and CRC "
              + Integer.toHexString(crc32c)
              + ", but what arrived has "
              + receivedBytes
              + " and "
              + Integer.toHexString(receivedCrc32c));
      return;
    }
    finishing = true;
    advance();
  }

  /** The sender gives up, or is gone: nobody is told anything any more. Idempotent. */
  public void abort(String why) {
    if (!ended) {
      ended = true;
      drop(why);
    }
  }

  /** A local write is done, or has failed. */
  public void localWritten(int index, Optional<String> failure) {
    localPendingWrites--;
    Held slice = held.get(index);
    if (slice != null) {
      slice.forLocal = false;
    }
    if (ended) {
      return;
    }
    if (failure.isPresent() && localState == LocalState.TAKING) {
      loseLocal(failure.get());
    }
    if (!localLost) {
      localBytes = Math.max(localBytes, writtenBelow());
    }
    settle(index);
    advance();
  }

  /** The local commit's answer. */
  public void localCommitted(HopAck ack) {
    if (ended || localState != LocalState.COMMITTING) {
      return;
    }
    localState = LocalState.DONE;
    localLost = ack.status() != HopAck.Status.STORED;
    known[0] = ack;
    advance();
  }

  /** The next hop takes so many slices in all. */
  public void nextCredit(int grantedSlices, int credited, List<Integer> progressBytes) {
    if (ended || nextState == NextState.DONE) {
      return;
    }
    nextGrantedSlices = Math.max(nextGrantedSlices, grantedSlices);
    nextCreditedBytes = Math.max(nextCreditedBytes, credited);
    for (int i = 0; i < Math.min(nextProgress.size(), progressBytes.size()); i++) {
      nextProgress.set(i, Math.max(nextProgress.get(i), progressBytes.get(i)));
    }
    advance();
  }

  /** The next hop's socket has taken a slice (or is gone). */
  public void nextSent(int index) {
    Held slice = held.get(index);
    if (slice != null) {
      slice.forNext = false;
    }
    if (ended) {
      return;
    }
    settle(index);
    advance();
  }

  /** What the hops behind say. */
  public void nextAcknowledged(ChunkAck ack, boolean last) {
    if (ended || nextState == NextState.DONE) {
      return;
    }
    boolean news = false;
    for (int i = firstBehind(); i < known.length; i++) {
      VolumeId volume = put.chain().get(i).volume();
      for (HopAck hop : ack.hops()) {
        boolean heard = hop.status() != HopAck.Status.UNREACHED;
        if (hop.volume().equals(volume) && (heard || last) && !hop.equals(known[i])) {
          known[i] = hop;
          // Of a last word only that the chunk is stored may wait for this disk's.
          news |= heard && !(last && hop.status() == HopAck.Status.STORED);
        }
      }
    }
    if (last) {
      endNext("not named in the next hop's acknowledgement");
    }
    if (news && !(last && localState == LocalState.DONE)) { // else it goes out with the last, below
      // Before the grant, so that whoever waits for that knows.
      upstream.acknowledge(soFar(), false);
    }
    advance();
  }

  /** The way to the next hop is gone. */
  public void nextBroken(String why) {
    if (ended || nextState == NextState.DONE) {
      return;
    }
    endNext(why);
    advance();
  }

  /** What is known of every hop; UNREACHED where nothing is. */
  public ChunkAck soFar() {
    List<HopAck> hops = new ArrayList<>();
    for (int i = 0; i < known.length; i++) {
      HopAck ack = known[i];
      hops.add(
          ack != null
              ? ack
              : HopAck.unreached(put.chain().get(i).volume(), "nothing was heard of it yet"));
    }
    return new ChunkAck(hops);
  }

  /** Whether nothing more happens: the last acknowledgement went out, or it was aborted. */
  public boolean ended() {
    return ended;
  }

  /** Slices held at the moment, for checks. */
  int heldSlices() {
    return held.size();
  }

  private int firstBehind() {
    return storesHere ? 1 : 0;
  }

  private void openNext() {
    if (nextState == NextState.WAITING) {
      nextState = NextState.OPEN;
      next.open();
    }
  }

  /** Does whatever has become possible, then says what has changed. */
  private void advance() {
    if (localState == LocalState.TAKING) {
      while (localHandedSlices < receivedSlices) {
        int index = localHandedSlices++;
        Held slice = require(index);
        localPendingWrites++;
        local.write(index, slice.offset, slice.slice, slice.crc32c);
      }
      if (finishing && localPendingWrites == 0) {
        localState = LocalState.COMMITTING;
        local.commit(receivedBytes, receivedCrc32c);
      }
    }
    if (nextState == NextState.OPEN) {
      while (nextHandedSlices < Math.min(receivedSlices, nextGrantedSlices)) {
        int index = nextHandedSlices++;
        Held slice = require(index);
        next.send(index, slice.offset, slice.slice, slice.crc32c);
      }
      if (finishing && nextHandedSlices == receivedSlices) {
        nextState = NextState.FINISHED;
        next.finish(receivedBytes, receivedCrc32c);
      }
    }
    if (localState == LocalState.DONE && nextState == NextState.DONE) {
      end();
    } else {
      if (localState == LocalState.DONE && storesHere && !saidLocal) {
        saidLocal = true;
        upstream.acknowledge(soFar(), false);
      }
      sayCredit();
    }
  }

  private void loseLocal(String why) {
    localState = LocalState.DONE;
    localLost = true;
    HopAck.Status status = Rule.R2_LOST.holds() ? HopAck.Status.FAILED : HopAck.Status.STORED;
    known[0] = new HopAck(put.chain().get(0).volume(), status, Optional.empty(), why);
    local.abort();
    for (int index = localHandedSlices; index < receivedSlices; index++) {
      require(index).forLocal = false;
      settle(index);
    }
  }

  /** The hops behind are done with, well or not. What their socket still has, it will report. */
  private void endNext(String why) {
    nextState = NextState.DONE;
    for (int i = firstBehind(); i < known.length; i++) {
      HopAck ack = known[i];
      if (ack == null) {
        known[i] = HopAck.unreached(put.chain().get(i).volume(), why);
      }
      nextLost |= i == firstBehind() && (ack == null || ack.status() != HopAck.Status.STORED);
    }
    if (!nextLost) {
      nextCreditedBytes = receivedBytes;
    }
    for (int index = nextHandedSlices; index < receivedSlices; index++) {
      Held slice = held.get(index);
      if (slice != null) {
        slice.forNext = false;
        settle(index);
      }
    }
  }

  private void fault(String why) {
    ended = true;
    if (storesHere && known[0] == null) {
      known[0] =
          new HopAck(put.chain().get(0).volume(), HopAck.Status.FAILED, Optional.empty(), why);
    }
    drop(why);
    upstream.acknowledge(soFar(), true);
  }

  private void end() {
    ended = true;
    releaseAll();
    upstream.acknowledge(soFar(), true);
  }

  private void drop(String why) {
    if (localState == LocalState.TAKING) {
      local.abort();
    }
    localState = localState == LocalState.COMMITTING ? localState : LocalState.DONE;
    if (nextState == NextState.OPEN || nextState == NextState.FINISHED) {
      next.abort(why);
    }
    nextState = NextState.DONE;
    releaseAll();
  }

  private void releaseAll() {
    for (Held slice : held.values()) {
      slice.slice.release();
      releasedSlices++;
    }
    held.clear();
  }

  private void settle(int index) {
    Held slice = held.get(index);
    if (slice != null && !slice.forLocal && !slice.forNext) {
      held.remove(index);
      slice.slice.release();
      releasedSlices++;
    }
  }

  /** Bytes before the first slice that waits for its local write. */
  private int writtenBelow() {
    for (Held slice : held.values()) {
      if (slice.forLocal) {
        return slice.offset;
      }
    }
    return receivedBytes;
  }

  private void sayCredit() {
    boolean countLocal = storesHere && !localLost;
    boolean countNext = firstBehind() < known.length && !nextLost;
    if (countLocal || countNext) {
      int slowest =
          Math.min(
              countLocal ? localBytes : Integer.MAX_VALUE,
              countNext ? nextCreditedBytes : Integer.MAX_VALUE);
      creditedBytes = Math.max(creditedBytes, slowest);
    }
    List<Integer> progress = new ArrayList<>(known.length);
    if (storesHere) {
      progress.add(localBytes);
    }
    progress.addAll(nextProgress);
    int grant = windowSlices + releasedSlices;
    if (grant != saidGrant || !progress.equals(saidProgress)) {
      saidGrant = grant;
      saidProgress = progress;
      upstream.credit(grant, creditedBytes, List.copyOf(progress));
    }
  }

  private Held require(int index) {
    Held slice = held.get(index);
    if (slice == null) {
      throw new IllegalStateException("slice " + index + " was released while it is needed");
    }
    return slice;
  }
}
