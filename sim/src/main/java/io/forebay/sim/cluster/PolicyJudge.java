package io.forebay.sim.cluster;

import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.node.retain.Retention;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Says when a policy of a prefix is not kept (decision 0021): at each checkpoint that is let go, at
 * each object that the store gets, and when all is mended.
 *
 * <p>Which checkpoints are complete, and in what order, it takes from the history; what is in force
 * from the log.
 */
final class PolicyJudge {
  // A marker that becomes visible while others are looked at, and two who take themselves for the
  // leader, shift numbers by one or two.
  private static final int SLIPS = 2;

  private record Checkpoint(String directory, ObjectHead marker) {
    long generation() {
      return marker.generation().value();
    }
  }

  /** A complete one, when it became so. */
  private record Completed(String marker, long generation) {}

  private final Judge judge;
  private final Map<BucketId, List<PrefixPolicy>> inForce = new TreeMap<>();
  private final Map<String, List<Completed>> completed = new TreeMap<>(); // by bucket and prefix

  PolicyJudge(Judge judge) {
    this.judge = judge;
  }

  /** A bucket has other policies now. */
  void set(NamespaceCommand.ReplacePolicies set) {
    inForce.put(set.bucket(), set.policies());
  }

  private Optional<PrefixPolicy> policyOf(BucketId bucket, String key) {
    return inForce.getOrDefault(bucket, List.of()).stream()
        .filter(policy -> policy.ofCheckpoints() && key.startsWith(policy.prefix()))
        .findFirst();
  }

  /** The marker of the checkpoint that a key is of; empty for what is of none. */
  Optional<String> marker(BucketId bucket, String key) {
    return policyOf(bucket, key)
        .flatMap(policy -> policy.checkpointOf(key).map(directory -> directory + policy.marker()));
  }

  /** Whether some of the checkpoints below a prefix go to the store. */
  boolean sends(BucketId bucket, String prefix) {
    return policyOf(bucket, prefix).filter(policy -> policy.flushEvery() > 0).isPresent();
  }

  /** What an object is said to be; superseded ones, too, for as long as readers may have them. */
  private Optional<ObjectHead> head(BucketId bucket, String key) {
    long generation = judge.history().generation(bucket, key);
    return judge.query(new NamespaceQuery.OfGeneration(new Generation(generation)))
            instanceof NamespaceAnswer.Found(var head, var _)
        ? Optional.of(head)
        : Optional.empty();
  }

  private List<String> files(BucketId bucket, String directory) {
    return judge.history().keys(bucket).stream()
        .filter(
            key -> key.startsWith(directory) && judge.history().current(bucket, key).isPresent())
        .toList();
  }

  /** The newest object of a directory has had its time. */
  private boolean ranOut(BucketId bucket, PrefixPolicy policy, List<String> files) {
    return policy.expireMillis() > 0
        && files.stream()
            .allMatch(key ->
                head(bucket, key)
                    .filter(
                        head -> head.modifiedMillis() + policy.expireMillis() <= judge.wallMillis())
                    .isPresent());
  }

  /**
   * So many as are kept are newer than all of it; one more if it holds anything newer than its
   * marker, for it may be being written anew in place.
   */
  private boolean isSpare(
      BucketId bucket,
      PrefixPolicy policy,
      List<Checkpoint> complete,
      Checkpoint checkpoint,
      List<String> files) {
    long newest =
        files.stream().mapToLong(key -> judge.history().generation(bucket, key)).max().orElse(0);
    long newer = complete.stream().filter(each -> each.generation() > newest).count();
    int kept = policy.keepLast() + (newest > checkpoint.generation() ? 1 : 0);
    return policy.keepLast() > 0 && newer >= kept;
  }

  private boolean isUploading(BucketId bucket, String directory) {
    return judge.query(new NamespaceQuery.ListUploads(bucket, directory, "", Optional.empty(), 1))
            instanceof NamespaceAnswer.Uploads(var uploads, var _)
        && !uploads.isEmpty();
  }

  /** Those that are complete now, the newest first. */
  private List<Checkpoint> complete(BucketId bucket, PrefixPolicy policy) {
    var found = new ArrayList<Checkpoint>();
    for (String directory : directories(bucket, policy)) {
      String marker = directory + policy.marker();
      if (judge.history().current(bucket, marker).isPresent()) {
        head(bucket, marker).ifPresent(head -> found.add(new Checkpoint(directory, head)));
      }
    }
    found.sort(Comparator.comparingLong(Checkpoint::generation).reversed());
    return found;
  }

  private Set<String> directories(BucketId bucket, PrefixPolicy policy) {
    var found = new TreeSet<String>();
    files(bucket, policy.prefix()).forEach(key -> policy.checkpointOf(key).ifPresent(found::add));
    return found;
  }

  private static boolean due(PrefixPolicy policy, Checkpoint checkpoint) {
    return policy.flushEvery() > 0
        && Retention.number(checkpoint.marker()) % policy.flushEvery() == 0;
  }

  // What happens.

  /** An object was published; it may be a marker. */
  void published(BucketId bucket, String key, Generation generation) {
    if (marker(bucket, key).filter(key::equals).isPresent()) {
      completed
          .computeIfAbsent(
              name(bucket, policyOf(bucket, key).orElseThrow()), any -> new ArrayList<>())
          .add(new Completed(key, generation.value()));
    }
  }

  private static String name(BucketId bucket, PrefixPolicy policy) {
    return bucket.value() + "/" + policy.prefix();
  }

  /** The namespace has let go of a checkpoint; returns the keys that are gone. */
  List<String> letGo(NamespaceCommand.LetGo command, int count) {
    judge.looked();
    BucketId bucket = command.bucket();
    String directory = command.path();
    List<String> files = files(bucket, directory);
    if (!policyOf(bucket, directory).equals(Optional.of(command.by()))) {
      judge.violation("policy: none in force let " + directory + " go, but " + command.by());
    }
    if (files.size() != count) {
      judge.violation(
          "policy: " + count + " objects of " + directory + " went, and it held " + files);
    }
    if (files.isEmpty()) {
      return files; // somebody who led before had let it go already
    }
    for (String key : files) {
      if (judge.store().filter(store -> store.concerns(bucket, key)).isPresent()) {
        judge.violation(
            "policy: " + key + " was let go, and the store has it, is to get or to lose it");
      }
    }
    List<Checkpoint> complete = complete(bucket, command.by());
    boolean ranOut = ranOut(bucket, command.by(), files);
    int newer = 0;
    while (newer < complete.size() && !complete.get(newer).directory().equals(directory)) {
      newer++;
    }
    if (newer == complete.size()) {
      if (!ranOut) {
        judge.violation("policy: " + directory + " was let go before it was complete: " + files);
      }
      return files;
    }
    Checkpoint gone = complete.get(newer);
    if (newer == 0) {
      judge.violation("policy: the newest complete checkpoint was let go, " + gone);
    }
    if (!isSpare(bucket, command.by(), complete, gone, files) && !ranOut) {
      judge.violation("policy: it was to stay, or was being written anew, and was let go: " + gone);
    }
    if (due(command.by(), gone)) {
      judge.violation("policy: it was to go to the store, and was let go: " + gone);
    }
    return files;
  }

  /** The store has got an object. */
  void stored(BucketId bucket, String key) {
    judge.looked();
    Optional<PrefixPolicy> policy = policyOf(bucket, key);
    Optional<String> directory = policy.flatMap(each -> each.checkpointOf(key));
    if (policy.isEmpty() || directory.isEmpty()) {
      return;
    }
    Optional<Checkpoint> checkpoint =
        complete(bucket, policy.get()).stream()
            .filter(each -> each.directory().equals(directory.get()))
            .findFirst();
    if (checkpoint.filter(each -> due(policy.get(), each)).isEmpty()) {
      judge.violation(
          "policy: the store got " + key + ", which was not its turn: it is of " + checkpoint);
    }
    if (marker(bucket, key).filter(key::equals).isPresent()) {
      for (String file : files(bucket, directory.get())) {
        long generation = judge.history().generation(bucket, file);
        boolean behind = checkpoint.filter(each -> generation > each.generation()).isPresent();
        if (!behind && !isStored(bucket, file)) {
          judge.violation("policy: the store got " + key + " before " + file);
        }
      }
    }
  }

  private boolean isStored(BucketId bucket, String key) {
    return judge.store().filter(store -> store.holdsCurrent(bucket, key)).isPresent();
  }

  // When all is mended.

  /** What is not yet as policies say; empty when all is. */
  List<String> overdue() {
    var found = new ArrayList<String>();
    inForce.forEach((bucket, policies) ->
        policies.stream()
            .filter(PrefixPolicy::ofCheckpoints)
            .forEach(policy -> overdue(bucket, policy, found)));
    return found;
  }

  private void overdue(BucketId bucket, PrefixPolicy policy, List<String> found) {
    judge.looked();
    Set<String> begun = directories(bucket, policy);
    List<Checkpoint> complete = complete(bucket, policy);
    for (int newer = 0; newer < complete.size(); newer++) {
      Checkpoint each = complete.get(newer);
      begun.remove(each.directory());
      List<String> files = files(bucket, each.directory());
      if (policy.flushEvery() > 0 && Retention.number(each.marker()) == 0) {
        found.add("it has no number: " + each);
      } else if (due(policy, each)) {
        files.stream()
            .filter(key -> !isStored(bucket, key))
            .forEach(key -> found.add("the store has not got " + key));
      } else if (isSpare(bucket, policy, complete, each, files)) {
        found.add(newer + " are newer, and it is still there: " + each);
      } else if (newer > 0
          && ranOut(bucket, policy, files)
          && !isUploading(bucket, each.directory())) {
        found.add("it has run out, and is still there: " + each);
      }
    }
    for (String directory : begun) {
      if (!isUploading(bucket, directory) && ranOut(bucket, policy, files(bucket, directory))) {
        found.add("it was begun and has run out, and is still there: " + directory);
      }
    }
  }

  /** Of so many that became complete in a row one is in the store, whoever counted. */
  void checkTurns() {
    inForce.forEach((bucket, policies) ->
        policies.stream()
            .filter(policy -> policy.flushEvery() > 0)
            .forEach(policy -> checkTurns(bucket, policy)));
  }

  private void checkTurns(BucketId bucket, PrefixPolicy policy) {
    judge.looked();
    int without = 0;
    for (Completed each : completed.getOrDefault(name(bucket, policy), List.of())) {
      boolean stored =
          judge.history().generation(bucket, each.marker()) == each.generation()
              && isStored(bucket, each.marker());
      without = stored ? 0 : without + 1;
      if (without >= policy.flushEvery() + SLIPS) {
        judge.violation(
            "policy: "
                + without
                + " checkpoints in a row did not go to the store, up to "
                + each
                + ", by "
                + policy);
        return;
      }
    }
  }
}
