package io.forebay.node.life;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.ImageNews;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.log.Commands;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/**
 * The cluster's state machine on a voter, encoded; shows each new image to those who wait for it.
 */
public final class ClusterLog implements Commands {
  private static final RecordCodec<ClusterCommand> COMMANDS = RecordCodec.of(ClusterCommand.class);
  private static final RecordCodec<ClusterResult> RESULTS = RecordCodec.of(ClusterResult.class);
  private static final RecordCodec<ClusterImage> IMAGES = RecordCodec.of(ClusterImage.class);
  private static final RecordCodec<ImageNews> NEWS = RecordCodec.of(ImageNews.class);
  // A node hears of the next image within a round trip; whoever is further behind gets all of it.
  private static final int REMEMBERED_IMAGES = 64;

  private final Env env;
  private final int groupsPerVolume;
  private final ReentrantLock lock = new ReentrantLock();
  private final List<Outcome<Boolean>> waiting = new ArrayList<>(); // guarded by lock
  private Optional<ClusterMachine> machine = Optional.empty(); // the applying thread's
  private volatile ClusterImage image = ClusterImage.EMPTY;
  private final ArrayDeque<ClusterImage> earlier = new ArrayDeque<>(); // guarded by lock
  private final TreeMap<Long, byte[]> news = new TreeMap<>(); // to this image; guarded by lock

  public ClusterLog(Env env) {
    this(env, ClusterMachine.DEFAULT_GROUPS_PER_VOLUME);
  }

  /**
   * @param groupsPerVolume about how many groups of a family a volume is in; the same on all voters
   */
  public ClusterLog(Env env, int groupsPerVolume) {
    this.env = env;
    this.groupsPerVolume = groupsPerVolume;
  }

  @Override
  public void load(SortedMap.View view) {
    machine = Optional.of(new ClusterMachine(view, groupsPerVolume));
    show();
  }

  /** The image as of the last command applied here. */
  public ClusterImage image() {
    return image;
  }

  /**
   * What makes the present image out of the one of a version, encoded; empty when that is no older.
   * Made once for all nodes that know the same.
   */
  public Optional<byte[]> news(long known) {
    lock.lock();
    try {
      if (image.version() <= known) {
        return Optional.empty();
      }
      Optional<ClusterImage> from =
          earlier.stream().filter(each -> each.version() == known).findFirst();
      return Optional.of(
          news.computeIfAbsent(
              from.map(ClusterImage::version).orElse(-1L),
              _ ->
                  NEWS.encode(
                      from.<ImageNews>map(each -> ImageNews.Change.between(each, image))
                          .orElseGet(() -> new ImageNews.Whole(image)))));
    } finally {
      lock.unlock();
    }
  }

  /** Waits until the image is newer than a version, or until the deadline. */
  public void awaitNewer(long version, long deadlineNanos) {
    var changed = new Outcome<Boolean>(env);
    lock.lock();
    try {
      if (image.version() > version) {
        return;
      }
      waiting.add(changed);
    } finally {
      lock.unlock();
    }
    changed.awaitUntil(deadlineNanos);
    lock.lock();
    try {
      waiting.remove(changed);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public byte[] apply(
      long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out) {
    if (machine.isEmpty()) {
      load(in);
    }
    ClusterResult result =
        machine.orElseThrow().apply(position, wallMillis, level, COMMANDS.decode(command), out);
    show();
    return RESULTS.encode(result);
  }

  private void show() {
    ClusterImage newer = machine.orElseThrow().image();
    if (newer.version() == image.version()) {
      return;
    }
    List<Outcome<Boolean>> all;
    lock.lock();
    try {
      earlier.add(image);
      if (earlier.size() > REMEMBERED_IMAGES) {
        earlier.remove();
      }
      news.clear();
      image = newer;
      all = List.copyOf(waiting);
      waiting.clear();
    } finally {
      lock.unlock();
    }
    all.forEach(outcome -> outcome.complete(true));
  }

  @Override
  public int check(byte[] command) {
    return switch (COMMANDS.decode(command)) {
      // Logs hold it from MOVES on; what it did there may lose a copy, so nobody asks for it.
      case ClusterCommand.MoveMember _ -> Level.KEPT;
      case ClusterCommand.CancelMove _ -> Level.MOVES;
      case ClusterCommand.RemoveBucket _, ClusterCommand.ReplaceBucket _, ClusterCommand.GiveUp _ ->
          Level.SEEN;
      default -> Level.FIRST;
    };
  }

  @Override
  public byte[] query(SortedMap.View in, byte[] query) {
    // The one query there is: the image, or nothing where it is no newer than a version.
    ClusterImage present = image;
    return query.length == Long.BYTES && present.version() <= ByteBuffer.wrap(query).getLong()
        ? new byte[0]
        : IMAGES.encode(present);
  }

  /** The command as bytes. */
  public static byte[] encode(ClusterCommand command) {
    return COMMANDS.encode(command);
  }

  /** What was answered to a command. */
  public static ClusterResult decodeResult(byte[] result) {
    return RESULTS.decode(result);
  }

  /** Answers an operator's encoded command by a function on the decoded ones. */
  public static byte[] operate(byte[] command, Function<ClusterCommand, ClusterResult> log) {
    ClusterResult result;
    try {
      result = log.apply(COMMANDS.decode(command));
    } catch (IllegalArgumentException wrong) {
      result =
          new ClusterResult.Refused(ErrorCode.INVALID_ARGUMENT, String.valueOf(wrong.getMessage()));
    }
    return RESULTS.encode(result);
  }
}
