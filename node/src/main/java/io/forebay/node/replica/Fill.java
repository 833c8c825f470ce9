package io.forebay.node.replica;

import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * How full this node's volumes are, and of what: between those who take chunks and those who make
 * room.
 */
public final class Fill {
  /** Why room is wanted on a volume. */
  public enum Want {
    /** It is above its high watermark. */
    ABOVE_HIGH,
    /** It has refused a chunk, whatever its watermarks say: others may fill its file system. */
    REFUSED
  }

  /**
   * What a volume held when it was looked at.
   *
   * @param beganNanos monotonic, when the look began
   * @param owedBytes named, and in no store: of cache-only buckets, or waiting for the flush
   * @param openBytes of sessions that are open and not past it
   * @param cleanBytes in the store; what was evicted then is not counted
   * @param pinned owed and open bytes, by group
   */
  public record Contents(
      long beganNanos,
      long owedBytes,
      long openBytes,
      long cleanBytes,
      SortedMap<GroupId, Long> pinned) {
    public Contents {
      pinned = Collections.unmodifiableSortedMap(new TreeMap<>(pinned));
    }
  }

  private final Env env;
  private final CapacitySettings settings;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final TreeMap<VolumeId, Want> wants = new TreeMap<>();
  private final Map<VolumeId, Contents> contents = new TreeMap<>();
  private Outcome<Boolean> wanted;

  public Fill(Env env, CapacitySettings settings) {
    this.env = env;
    this.settings = settings;
    this.wanted = new Outcome<>(env);
  }

  /** The volume has taken a chunk. */
  void taken(Volume volume) {
    VolumeUsage usage = volume.usage();
    if (usage.usedBytes() > usage.capacityBytes() * settings.high()) {
      want(volume.id(), Want.ABOVE_HIGH);
    }
  }

  /** The volume had no room for a chunk. */
  public void refused(VolumeId volume) {
    want(volume, Want.REFUSED);
  }

  private void want(VolumeId volume, Want want) {
    lock.lock();
    try {
      wants.merge(volume, want, (a, b) -> a.compareTo(b) > 0 ? a : b);
      wanted.complete(true);
    } finally {
      lock.unlock();
    }
  }

  /** Waits until room is wanted somewhere; false when the monotonic deadline passed first. */
  public boolean awaitWanted(long deadlineNanos) {
    Outcome<Boolean> next;
    lock.lock();
    try {
      next = wanted;
    } finally {
      lock.unlock();
    }
    return next.awaitUntil(deadlineNanos);
  }

  /** Where room is wanted; from then on it has to be wanted anew. */
  public Map<VolumeId, Want> takeWants() {
    lock.lock();
    try {
      var taken = new TreeMap<>(wants);
      wants.clear();
      wanted = new Outcome<>(env);
      return taken;
    } finally {
      lock.unlock();
    }
  }

  /**
   * How much is to be freed of a volume.
   *
   * @param fullBytes what counts as full: its capacity, or what it held when it refused a chunk
   * @param usedBytes what it holds now
   */
  public long excessBytes(long fullBytes, long usedBytes) {
    return usedBytes > fullBytes * settings.high()
        ? (long) (usedBytes - fullBytes * settings.low())
        : 0;
  }

  /** A volume was looked at. */
  public void found(VolumeId volume, Contents found) {
    lock.lock();
    try {
      contents.put(volume, found);
    } finally {
      lock.unlock();
    }
  }

  /** What a volume held when it was last looked at; empty before the first time. */
  public Optional<Contents> contents(VolumeId volume) {
    lock.lock();
    try {
      return Optional.ofNullable(contents.get(volume));
    } finally {
      lock.unlock();
    }
  }

  /** What the leader asks for: how much each volume holds that may not be evicted. */
  public ControlMessage.Held held() {
    long now = env.nanoTime();
    var volumes = new ArrayList<ControlMessage.Held.OfVolume>();
    lock.lock();
    try {
      contents.forEach((volume, held) ->
          volumes.add(
              new ControlMessage.Held.OfVolume(
                  volume,
                  now - held.beganNanos(),
                  held.pinned().entrySet().stream()
                      .map(each -> new ControlMessage.Held.OfGroup(each.getKey(), each.getValue()))
                      .toList())));
    } finally {
      lock.unlock();
    }
    return new ControlMessage.Held(volumes);
  }

  /** What a volume held, in words, for a refusal. */
  String words(VolumeId volume) {
    return contents(volume)
        .map(held ->
            "; when last looked at it held "
                + held.owedBytes()
                + " bytes that are in no store, "
                + held.openBytes()
                + " of writers under way and "
                + held.cleanBytes()
                + " clean; garbage is deleted when it is found")
        .orElse("");
  }
}
