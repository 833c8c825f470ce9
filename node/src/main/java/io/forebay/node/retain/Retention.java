package io.forebay.node.retain;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.DoorHeaders;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.Generation;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.BucketPolicies;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out the policies of prefixes, on the voter that leads.
 *
 * <p>A complete checkpoint gets its number once, in a header of its marker: one more than the
 * highest that is there. The header holds the marker's generation, too, so that a copy of it and
 * what overwrites it count for themselves. So whoever leads next goes on counting where this one
 * ended, although those in between are deleted.
 *
 * <p>Two that take themselves for the leader do no harm: numbers may differ by one or two from what
 * one would have given, and the namespace looks at each deletion again.
 */
public final class Retention {
  /** The header of a marker that holds its checkpoint's number and its own generation. */
  static final String NUMBER = DoorHeaders.PREFIX + "forebay-checkpoint";

  private static final Logger LOG = LoggerFactory.getLogger(Retention.class);
  private static final long LOOK_NANOS = 2_000_000_000L;
  // A look at thousands of directories takes seconds: no more than a twentieth of the time then.
  // One that waited for another leader is not to put the next off for minutes.
  private static final int PAUSES = 20;
  private static final long MAX_PAUSE_NANOS = 60_000_000_000L;
  private static final int MAX_WARNED = 1_000;

  private final Env env;
  private final BooleanSupplier leads;
  private final ControlPlane plane;
  private final TreeSet<String> warned = new TreeSet<>(); // the loop's own
  private long looks; // the loop's own

  /**
   * @param leads whether this voter is the one to act
   */
  public Retention(Env env, BooleanSupplier leads, ControlPlane plane) {
    this.env = env;
    this.leads = leads;
    this.plane = plane;
  }

  /** A complete one. */
  private record Checkpoint(String directory, ObjectHead marker) {
    /** Whether its marker is in the cache only, and with it the whole, as far as a reader knows. */
    boolean held() {
      return marker.flush() == FlushState.CACHE_ONLY;
    }

    long number() {
      return Retention.number(marker);
    }

    Generation generation() {
      return marker.generation();
    }
  }

  /** The number of a marker's checkpoint, from 1; 0: it has none yet. */
  public static long number(ObjectHead marker) {
    String text = marker.metadata().headers().getOrDefault(NUMBER, "");
    String own = of(marker);
    try {
      return text.endsWith(own)
          ? Long.parseLong(text.substring(0, text.length() - own.length()))
          : 0;
    } catch (NumberFormatException foreign) {
      return 0;
    }
  }

  private static String of(ObjectHead marker) {
    return "@" + marker.generation().value();
  }

  /** Carries policies out for as long as this voter leads; until interrupted. */
  public void run() {
    long pause = LOOK_NANOS;
    String said = "";
    while (true) {
      env.sleep(pause);
      pause = LOOK_NANOS;
      if (!leads.getAsBoolean()) {
        continue;
      }
      long began = env.nanoTime();
      try {
        round();
        said = "";
      } catch (ForebayException failure) {
        if (failure.code() == ErrorCode.CANCELLED) {
          throw failure;
        }
        // Not the leader any more, no majority, or the namespace's leader is of an older version:
        // whoever leads next looks again.
        if (!failure.toString().equals(said)) {
          said = failure.toString();
          LOG.warn("policies are not carried out now, but tried again: {}", said);
        }
      }
      pause = Math.clamp(PAUSES * (env.nanoTime() - began), LOOK_NANOS, MAX_PAUSE_NANOS);
    }
  }

  /** Looks once at everything that has a policy. */
  void round() {
    looks++;
    if (!(plane.query(new NamespaceQuery.AllPolicies())
        instanceof NamespaceAnswer.Policies(var all))) {
      return;
    }
    for (BucketPolicies each : all) {
      Optional<Bucket> bucket =
          plane.image().buckets().stream()
              .filter(known -> known.id().equals(each.bucket()))
              .findFirst();
      if (bucket.isEmpty()) {
        continue; // this node's image is behind
      }
      for (PrefixPolicy policy : each.policies()) {
        if (policy.ofCheckpoints()) {
          checkpoints(bucket.get(), policy);
        } else {
          expireObjects(bucket.get(), policy);
        }
      }
    }
  }

  private void checkpoints(Bucket bucket, PrefixPolicy policy) {
    var complete = new ArrayList<Checkpoint>();
    var begun = new ArrayList<String>();
    for (String directory : directories(bucket, policy.prefix())) {
      stat(bucket, directory + policy.marker())
          .ifPresentOrElse(
              marker -> complete.add(new Checkpoint(directory, marker)),
              () -> begun.add(directory));
    }
    complete.sort(Comparator.comparingLong(each -> each.generation().value()));
    List<Checkpoint> counted = policy.flushEvery() > 0 ? counted(bucket, complete) : complete;
    long horizon = horizonMillis(policy);
    int newest = Rule.POLICY_NEWEST.holds() ? counted.size() - 1 : counted.size();
    for (int i = 0; i < counted.size(); i++) {
      Checkpoint each = counted.get(i);
      int newer = counted.size() - 1 - i;
      if (policy.flushEvery() > 0 && each.number() % policy.flushEvery() == 0) {
        // Also what came behind the marker: of the newest ones at once; of the others in turn, for
        // each costs a listing.
        if (each.held()
            || newer < Math.max(1, policy.keepLast())
            || (Rule.POLICY_TURN.holds() && i == looks % counted.size())) {
          flush(bucket, each);
        }
      } else if (each.held()) {
        Optional<Generation> marker = Optional.of(each.generation());
        boolean gone = false;
        if (policy.keepLast() > 0 && newer >= policy.keepLast()) {
          Checkpoint spare = counted.get(counted.size() - 1 - policy.keepLast());
          gone =
              letGo(
                  bucket,
                  policy,
                  each.directory(),
                  marker,
                  object -> over(object.generation(), each, spare));
        }
        if (!gone && i < newest && each.marker().modifiedMillis() <= horizon) {
          expire(bucket, policy, each.directory(), marker, horizon);
        }
      }
    }
    for (String directory : begun) {
      expire(bucket, policy, directory, Optional.empty(), horizon);
    }
  }

  /**
   * What came behind its marker may be of a checkpoint that is being written anew in place. So it
   * stays until one more are newer than are kept: while one is written, another may become
   * complete.
   *
   * @param spare the newest that is not kept
   */
  private static boolean over(Generation object, Checkpoint of, Checkpoint spare) {
    return object.value() <= of.generation().value()
        || object.value() < spare.generation().value()
        || !Rule.POLICY_ANEW.holds();
  }

  /**
   * A directory goes when its newest object has had its time; a long upload is no abandoned one.
   */
  private void expire(
      Bucket bucket,
      PrefixPolicy policy,
      String directory,
      Optional<Generation> marker,
      long horizonMillis) {
    if (policy.expireMillis() > 0 && !uploading(bucket, directory)) {
      letGo(bucket, policy, directory, marker, object -> object.modifiedMillis() <= horizonMillis);
    }
  }

  /** What was published by then has run out. */
  private long horizonMillis(PrefixPolicy policy) {
    return policy.expireMillis() > 0 ? env.wallMillis() - policy.expireMillis() : Long.MIN_VALUE;
  }

  /** Gives the next numbers to those that have none, in their order. */
  private List<Checkpoint> counted(Bucket bucket, List<Checkpoint> complete) {
    long last =
        Rule.POLICY_COUNT.holds()
            ? complete.stream().mapToLong(Checkpoint::number).max().orElse(0)
            : 0;
    var counted = new ArrayList<Checkpoint>();
    for (Checkpoint each : complete) {
      if (each.number() > 0) {
        counted.add(each);
        continue;
      }
      last++;
      NamespaceResult result =
          plane.namespace(
              new NamespaceCommand.ChangeHeaders(
                  bucket.id(),
                  each.marker().key(),
                  Collections.singletonMap(NUMBER, last + of(each.marker()))));
      if (!(result instanceof NamespaceResult.Published(var marker))
          || !marker.generation().equals(each.marker().generation())) {
        return List.of(); // somebody changed it: all of it is looked at again
      }
      counted.add(new Checkpoint(each.directory(), marker));
    }
    return counted;
  }

  /** Sends a checkpoint to the store; its marker when the store has all the rest. */
  private void flush(Bucket bucket, Checkpoint checkpoint) {
    if (bucket.storeUrl().isEmpty()) {
      return;
    }
    String marker = checkpoint.marker().key();
    var waiting = new boolean[1];
    pages(
        bucket,
        checkpoint.directory(),
        "",
        page -> {
          List<ObjectHead> held =
              page.objects().stream()
                  .filter(object ->
                      object.flush() == FlushState.CACHE_ONLY && !object.key().equals(marker))
                  .toList();
          waiting[0] |=
              page.objects().stream()
                  .anyMatch(object ->
                      object.flush() != FlushState.FLUSHED && !object.key().equals(marker));
          flushHeld(bucket, held);
          return true;
        });
    boolean stored = !waiting[0] || !Rule.POLICY_LAST.holds();
    if (stored && checkpoint.held()) {
      flushHeld(bucket, List.of(checkpoint.marker()));
      LOG.info(
          "checkpoint {}/{} is in its store but for its marker, which follows",
          bucket.name(),
          checkpoint.directory());
    }
  }

  private void flushHeld(Bucket bucket, List<ObjectHead> objects) {
    if (!objects.isEmpty()) {
      plane.namespace(
          new NamespaceCommand.FlushHeld(
              bucket.id(),
              objects.stream().map(ObjectHead::key).toList(),
              newest(objects),
              new FlushPolicy(FlushMode.BACK, 0, bucket.readGraceMillis())));
    }
  }

  private static Generation newest(List<ObjectHead> objects) {
    return new Generation(
        objects.stream().mapToLong(each -> each.generation().value()).max().orElseThrow());
  }

  /**
   * A directory goes when all of it is in the cache only and had its time; returns whether it went.
   *
   * @param marker which the directory was judged by; empty: it had none
   * @param over whether an object had its time
   */
  private boolean letGo(
      Bucket bucket,
      PrefixPolicy policy,
      String directory,
      Optional<Generation> marker,
      Predicate<ObjectHead> over) {
    var newest = new long[1];
    boolean whole =
        pages(
            bucket,
            directory,
            "",
            page -> {
              for (ObjectHead object : page.objects()) {
                if (object.flush() != FlushState.CACHE_ONLY || !over.test(object)) {
                  return false;
                }
                newest[0] = Math.max(newest[0], object.generation().value());
              }
              return true;
            });
    if (!whole || newest[0] == 0) {
      return false;
    }
    // Another marker that comes from here on is newer than all that was seen, and nothing goes.
    Optional<Generation> still =
        stat(bucket, directory + policy.marker()).map(ObjectHead::generation);
    if (!still.equals(marker) && Rule.POLICY_ANEW.holds()) {
      return false;
    }
    int count = letGo(bucket, policy, directory, new Generation(newest[0]));
    if (count > 0) {
      LOG.info("let go {}/{}: {} objects that were in no store", bucket.name(), directory, count);
    }
    return count > 0;
  }

  private int letGo(Bucket bucket, PrefixPolicy policy, String path, Generation upTo) {
    NamespaceResult result =
        plane.namespace(
            new NamespaceCommand.LetGo(
                bucket.id(), policy, path, upTo, FlushPolicy.of(bucket, path)));
    if (result instanceof NamespaceResult.Expired(int count, boolean _)) {
      return count;
    }
    if (result instanceof NamespaceResult.Refused(var code, var message)
        && code != ErrorCode.CONCURRENT_CHANGE
        && warned.add(bucket.name() + "/" + path)) {
      LOG.warn("{}/{} is to be let go, and stays: {}", bucket.name(), path, message);
      if (warned.size() > MAX_WARNED) {
        warned.clear();
      }
    }
    return 0;
  }

  private void expireObjects(Bucket bucket, PrefixPolicy policy) {
    long horizon = horizonMillis(policy);
    var count = new int[1];
    pages(
        bucket,
        policy.prefix(),
        "",
        page -> {
          for (ObjectHead object : page.objects()) {
            // A key that ends with '/' would name all that is below it.
            if (object.flush() == FlushState.CACHE_ONLY
                && object.modifiedMillis() <= horizon
                && !object.key().endsWith("/")) {
              count[0] += letGo(bucket, policy, object.key(), object.generation());
            }
          }
          return true;
        });
    if (count[0] > 0) {
      LOG.info(
          "let go {} objects below {}/{} that were in no store",
          count[0],
          bucket.name(),
          policy.prefix());
    }
  }

  private List<String> directories(Bucket bucket, String prefix) {
    var found = new ArrayList<String>();
    pages(
        bucket,
        prefix,
        "/",
        page -> {
          found.addAll(page.commonPrefixes());
          return true;
        });
    return found;
  }

  /** Returns whether each page wanted the next one. */
  private boolean pages(
      Bucket bucket, String prefix, String delimiter, Predicate<NamespaceAnswer.Listing> page) {
    Optional<String> after = Optional.of("");
    while (after.isPresent()) {
      NamespaceAnswer answer =
          plane.query(
              new NamespaceQuery.ListAll(
                  bucket.id(), prefix, delimiter, after.get(), NamespaceQuery.MAX_PAGE));
      if (!(answer instanceof NamespaceAnswer.Listing listing)) {
        throw unexpected(answer);
      }
      if (!page.test(listing)) {
        return false;
      }
      after = listing.next();
    }
    return true;
  }

  private Optional<ObjectHead> stat(Bucket bucket, String key) {
    return switch (plane.query(new NamespaceQuery.Stat(bucket.id(), key))) {
      case NamespaceAnswer.Found found -> Optional.of(found.object());
      case NamespaceAnswer.Absent _ -> Optional.empty();
      case NamespaceAnswer other -> throw unexpected(other);
    };
  }

  private boolean uploading(Bucket bucket, String directory) {
    NamespaceAnswer answer =
        plane.query(
            new NamespaceQuery.ListUploads(bucket.id(), directory, "", Optional.empty(), 1));
    if (answer instanceof NamespaceAnswer.Uploads uploads) {
      return !uploads.uploads().isEmpty();
    }
    throw unexpected(answer);
  }

  private static ForebayException unexpected(NamespaceAnswer answer) {
    return answer instanceof NamespaceAnswer.Refused refused
        ? refused.exception()
        : new ForebayException(
            ErrorCode.INTERNAL, "the namespace answered with " + answer.getClass().getSimpleName());
  }
}
