package io.forebay.node.retain;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.StillEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.FlushItem;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.core.namespace.Preconditions;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** What policies leave, over the namespace's real state machine. */
final class RetentionTest {
  private static final BucketId BUCKET = new BucketId(1);
  private static final String MARKER = "_DONE";
  private static final FlushPolicy HELD = new FlushPolicy(FlushMode.CACHE_ONLY, 0, 1_000);
  private static final FlushPolicy BACK = new FlushPolicy(FlushMode.BACK, 0, 1_000);

  private final StillEnv env = new StillEnv();
  private final SortedMap map = new MemorySortedMap();
  private final NamespaceMachine machine = new NamespaceMachine(0);
  private long index = 1;
  private final Plane plane = new Plane();
  private final SessionId session =
      ((NamespaceResult.SessionOpened)
              plane.apply(new NamespaceCommand.OpenSession(new NodeId("writer"))))
          .session();
  private long sequence = 1;
  private Predicate<NamespaceCommand> unheard = command -> false;
  private Runnable beforeCommand = () -> {};
  private Runnable beforeList = () -> {};
  private String listed = "";
  private int deletions;

  private final class Plane implements ControlPlane {
    private final ClusterImage image =
        new ClusterImage(
            1,
            "c1",
            List.of(),
            List.of(),
            List.of(),
            List.of(
                new Bucket(
                    BUCKET,
                    "train",
                    new Family(1, 1, Durability.REPLICATED),
                    "memory:",
                    FlushMode.BACK,
                    List.of(),
                    1 << 20,
                    0,
                    1_000,
                    0)),
            List.of(),
            List.of());

    NamespaceResult apply(NamespaceCommand command) {
      var batch = new Batch();
      NamespaceResult result;
      try (SortedMap.View view = map.view()) {
        result = machine.apply(index++, env.wallMillis(), Level.NEWEST, command, batch, view);
      }
      map.write(batch);
      return result;
    }

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      throw new IllegalStateException("the cluster does not change here");
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      Runnable before = beforeCommand;
      beforeCommand = () -> {};
      before.run();
      deletions += command instanceof NamespaceCommand.LetGo ? 1 : 0;
      NamespaceResult result = apply(command);
      if (unheard.test(command)) {
        throw new ForebayException(ErrorCode.UNAVAILABLE, "the answer was lost");
      }
      return result;
    }

    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      if (query instanceof NamespaceQuery.ListAll list && list.prefix().equals(listed)) {
        listed = "";
        beforeList.run();
      }
      try (SortedMap.View view = map.view()) {
        return machine.query(view, query);
      }
    }

    @Override
    public ClusterImage image() {
      return image;
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      return true;
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {
      listener.accept(image);
    }
  }

  private void policy(int keepLast, int flushEvery, long expireMillis) {
    set(new PrefixPolicy("run/", MARKER, keepLast, flushEvery, expireMillis));
  }

  private void set(PrefixPolicy... policies) {
    assertThat(plane.apply(new NamespaceCommand.SetPolicies(BUCKET, List.of(policies))))
        .isInstanceOf(NamespaceResult.Done.class);
  }

  private void publish(String key, FlushPolicy policy) {
    Manifest manifest = new Manifest.Inline(new byte[] {1, 2, 3});
    assertThat(
            plane.apply(
                new NamespaceCommand.Publish(
                    session,
                    sequence++,
                    BUCKET,
                    key,
                    3,
                    Optional.empty(),
                    7,
                    ObjectMetadata.NONE,
                    manifest,
                    Preconditions.NONE,
                    policy)))
        .isInstanceOf(NamespaceResult.Published.class);
  }

  /** A checkpoint as a trainer writes it. */
  private void checkpoint(String name) {
    publish("run/" + name + "/rank-0", HELD);
    publish("run/" + name + "/deep/rank-1", HELD);
    publish("run/" + name + "/" + MARKER, HELD);
  }

  /** Another voter, which remembers nothing. */
  private void look() {
    new Retention(env, () -> true, plane).round();
  }

  private Optional<ObjectHead> stat(String key) {
    return plane.query(new NamespaceQuery.Stat(BUCKET, key)) instanceof NamespaceAnswer.Found found
        ? Optional.of(found.object())
        : Optional.empty();
  }

  private FlushState state(String key) {
    return stat(key).orElseThrow().flush();
  }

  private List<String> keys() {
    return ((NamespaceAnswer.Listing)
            plane.query(new NamespaceQuery.ListAll(BUCKET, "", "", "", 1_000)))
        .objects().stream().map(ObjectHead::key).toList();
  }

  private List<String> checkpoints() {
    return ((NamespaceAnswer.Listing)
            plane.query(new NamespaceQuery.ListAll(BUCKET, "run/", "/", "", 1_000)))
        .commonPrefixes();
  }

  /** What the store gets next, all of it; in the order of their keys. */
  private List<String> flush() {
    var flushed = new ArrayList<String>();
    var work =
        (NamespaceAnswer.Work)
            plane.query(new NamespaceQuery.FlushWork(1_000, env.wallMillis(), List.of()));
    for (FlushItem item : work.items()) {
      var begun =
          (NamespaceResult.FlushStarted)
              plane.apply(
                  new NamespaceCommand.FlushBegin(
                      BUCKET,
                      item.key(),
                      new NodeId("n1"),
                      item.record().version(),
                      Optional.empty(),
                      100,
                      50));
      plane.apply(new NamespaceCommand.FlushEnd(BUCKET, item.key(), begun.task().attempt(), "e"));
      flushed.add(item.key());
    }
    return flushed;
  }

  @Test
  void theNewestCompleteCheckpointsStayInTheOrderOfTheirMarkers() {
    policy(2, 0, 0);
    checkpoint("step-900");
    checkpoint("step-1000");
    look();
    assertThat(checkpoints()).containsExactly("run/step-1000/", "run/step-900/");
    checkpoint("step-100");
    look();
    assertThat(checkpoints()).containsExactly("run/step-100/", "run/step-1000/");
    assertThat(keys()).doesNotContain("run/step-900/deep/rank-1").hasSize(6);
  }

  @Test
  void whatHasNoMarkerDoesNotCountAndStays() {
    policy(1, 0, 0);
    publish("run/begun/rank-0", HELD);
    publish("run/latest", HELD);
    checkpoint("a");
    publish("run/later/rank-0", HELD);
    publish("running/b/" + MARKER, HELD);
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/begun/", "run/later/");
    checkpoint("b");
    look();
    assertThat(checkpoints()).containsExactly("run/b/", "run/begun/", "run/later/");
    assertThat(keys()).contains("run/latest", "running/b/" + MARKER);
  }

  @Test
  void aCheckpointWhoseMarkerIsWrittenAnewIsTheNewest() {
    policy(1, 0, 0);
    checkpoint("a");
    checkpoint("b");
    publish("run/a/" + MARKER, HELD);
    look();
    assertThat(checkpoints()).containsExactly("run/a/");
  }

  @Test
  void whatTheStoreHasOrIsToGetIsNeverLetGo() {
    policy(1, 0, 0);
    publish("run/a/rank-0", BACK);
    publish("run/a/" + MARKER, HELD);
    publish("run/b/rank-0", HELD);
    publish("run/b/" + MARKER, BACK);
    checkpoint("c");
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/", "run/c/");
    flush();
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/", "run/c/");
    assertThat(deletions).isZero();
  }

  @Test
  void whatIsAddedToACheckpointIsNotLostAndGoesWhenOneMoreIsComplete() {
    policy(1, 0, 0);
    checkpoint("a");
    checkpoint("b");
    beforeCommand = () -> publish("run/a/late", HELD);
    look();
    assertThat(keys()).contains("run/a/late", "run/a/rank-0", "run/a/" + MARKER);
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
    checkpoint("c");
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/c/");
    checkpoint("d");
    look();
    assertThat(checkpoints()).containsExactly("run/d/");
  }

  @Test
  void whatIsWrittenAnewInPlaceUnderItsOldMarkerIsNotLetGo() {
    policy(1, 0, 0);
    checkpoint("a");
    checkpoint("b");
    publish("run/a/rank-0", HELD);
    look();
    checkpoint("c"); // by another writer
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/c/");
    publish("run/a/deep/rank-1", HELD);
    publish("run/a/" + MARKER, HELD);
    look();
    assertThat(keys()).containsExactly("run/a/" + MARKER, "run/a/deep/rank-1", "run/a/rank-0");
  }

  @Test
  void whatWasBegunAnewBeforeTheOneBeforeItBecameCompleteIsNotLetGo() {
    policy(1, 0, 0);
    checkpoint("a");
    publish("run/b/rank-0", HELD);
    publish("run/a/rank-0", HELD);
    publish("run/b/" + MARKER, HELD);
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
    publish("run/a/" + MARKER, HELD);
    look();
    assertThat(checkpoints()).containsExactly("run/a/");
  }

  @Test
  void aMarkerThatIsWrittenAnewSinceItWasJudgedIsTheNewest() {
    policy(1, 0, 0);
    checkpoint("a");
    checkpoint("b");
    listed = "run/a/";
    beforeList = () -> publish("run/a/" + MARKER, HELD);
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
    look();
    assertThat(checkpoints()).containsExactly("run/a/");
  }

  @Test
  void aMarkerThatIsWrittenAnewSinceItWasJudgedDoesNotExpireOnAnotherLeadersClock() {
    policy(0, 0, 1_000);
    checkpoint("a");
    checkpoint("b");
    env.pass(1_000);
    listed = "run/a/";
    beforeList =
        () -> {
          env.pass(-1_000);
          publish("run/a/" + MARKER, HELD);
          env.pass(1_000);
        };
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
  }

  @Test
  void whatIsWrittenAnewByALongUploadDoesNotExpire() {
    policy(0, 0, 1_000);
    checkpoint("a");
    checkpoint("b");
    publish("run/a/rank-0", HELD);
    plane.apply(
        new NamespaceCommand.CreateUpload(
            BUCKET, "run/a/deep/rank-1", ObjectMetadata.NONE, 600_000));
    env.pass(1_000);
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
  }

  @Test
  void aPolicyThatWasTakenAwayMeanwhileDeletesNothing() {
    policy(1, 0, 0);
    checkpoint("a");
    checkpoint("b");
    beforeCommand = this::set;
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
  }

  @Test
  void everyNthCheckpointGoesToTheStoreItsMarkerLastAndTheOthersGo() {
    policy(1, 2, 0);
    for (int step = 1; step <= 5; step++) {
      checkpoint("step-" + step);
      look();
    }
    assertThat(checkpoints()).containsExactly("run/step-2/", "run/step-4/", "run/step-5/");
    assertThat(state("run/step-2/rank-0")).isEqualTo(FlushState.PENDING);
    assertThat(state("run/step-2/" + MARKER)).isEqualTo(FlushState.CACHE_ONLY);
    assertThat(state("run/step-5/rank-0")).isEqualTo(FlushState.CACHE_ONLY);
    assertThat(flush())
        .containsExactlyInAnyOrder(
            "run/step-2/rank-0",
            "run/step-2/deep/rank-1",
            "run/step-4/rank-0",
            "run/step-4/deep/rank-1");
    look();
    assertThat(flush()).containsExactlyInAnyOrder("run/step-2/" + MARKER, "run/step-4/" + MARKER);
    look();
    assertThat(flush()).isEmpty();
    assertThat(checkpoints()).containsExactly("run/step-2/", "run/step-4/", "run/step-5/");
  }

  @Test
  void aMarkerWaitsForTheLastOfItsFiles() {
    policy(0, 1, 0);
    checkpoint("a");
    publish("run/a/late", HELD);
    look();
    flush();
    publish("run/a/later", HELD);
    look();
    assertThat(state("run/a/" + MARKER)).isEqualTo(FlushState.CACHE_ONLY);
    assertThat(flush()).containsExactly("run/a/later");
    look();
    assertThat(flush()).containsExactly("run/a/" + MARKER);
    publish("run/a/latest", HELD);
    look();
    assertThat(flush()).as("behind its marker").containsExactly("run/a/latest");
  }

  @Test
  void whatIsOverwrittenInAnOlderCheckpointThatIsInTheStoreGoesThereAgain() {
    policy(1, 1, 0);
    for (String name : List.of("a", "b", "c")) {
      checkpoint(name);
    }
    look();
    flush();
    look();
    flush();
    assertThat(state("run/a/" + MARKER)).isEqualTo(FlushState.FLUSHED);
    publish("run/a/rank-0", HELD);
    assertThat(flush()).as("it is deleted there").containsExactly("run/a/rank-0");
    publish("run/b/rank-0", HELD);
    var worker = new Retention(env, () -> true, plane);
    for (int i = 0; i < 3; i++) {
      worker.round();
    }
    assertThat(flush()).containsExactly("run/a/rank-0", "run/b/rank-0");
    assertThat(state("run/a/rank-0")).isEqualTo(FlushState.FLUSHED);
    assertThat(state("run/b/rank-0")).isEqualTo(FlushState.FLUSHED);
  }

  @Test
  void nothingOfACheckpointGoesToTheStoreBeforeItIsComplete() {
    policy(0, 1, 0);
    publish("run/a/rank-0", HELD);
    look();
    assertThat(flush()).isEmpty();
    publish("run/a/" + MARKER, HELD);
    look();
    assertThat(flush()).containsExactly("run/a/rank-0");
  }

  @Test
  void countingGoesOnWhenThoseInBetweenAreGoneAndAnswersAreLost() {
    policy(1, 3, 0);
    checkpoint("a");
    unheard = command -> command instanceof NamespaceCommand.ChangeHeaders;
    try {
      look();
    } catch (ForebayException lost) {
      assertThat(lost.code()).isEqualTo(ErrorCode.UNAVAILABLE);
    }
    unheard = command -> false;
    checkpoint("b");
    look();
    assertThat(checkpoints()).containsExactly("run/b/");
    checkpoint("c");
    look();
    checkpoint("d");
    look();
    assertThat(checkpoints()).containsExactly("run/c/", "run/d/");
  }

  @Test
  void theCopyOfACheckpointCountsForItself() {
    policy(1, 2, 0);
    checkpoint("a");
    look();
    for (String file : List.of("rank-0", MARKER)) {
      plane.apply(
          new NamespaceCommand.Copy(
              BUCKET,
              "run/a/" + file,
              Optional.empty(),
              BUCKET,
              "run/copy/" + file,
              Optional.empty(),
              Preconditions.NONE,
              HELD));
    }
    look();
    assertThat(checkpoints()).as("the second goes to the store").containsExactly("run/copy/");
    assertThat(state("run/copy/rank-0")).isEqualTo(FlushState.PENDING);
  }

  @Test
  void whatIsInTheCacheOnlyExpiresAndTheNewestCompleteCheckpointDoesNot() {
    policy(0, 0, 1_000);
    publish("run/begun/rank-0", HELD);
    checkpoint("a");
    env.pass(600);
    checkpoint("b");
    publish("run/growing/rank-0", HELD);
    env.pass(399);
    look();
    assertThat(checkpoints()).hasSize(4);
    env.pass(1);
    look();
    assertThat(checkpoints()).containsExactly("run/b/", "run/growing/");
    env.pass(300);
    publish("run/growing/rank-1", HELD);
    env.pass(999);
    look();
    assertThat(checkpoints()).containsExactly("run/b/", "run/growing/");
    env.pass(1);
    look();
    assertThat(checkpoints()).containsExactly("run/b/");
  }

  @Test
  void whatHasAnUploadUnderWayDoesNotExpire() {
    policy(0, 0, 1_000);
    publish("run/begun/rank-0", HELD);
    plane.apply(
        new NamespaceCommand.CreateUpload(
            BUCKET, "run/begun/rank-1", ObjectMetadata.NONE, 600_000));
    env.pass(1_000);
    look();
    assertThat(keys()).containsExactly("run/begun/rank-0");
  }

  @Test
  void whatIsToGoToTheStoreDoesNotExpire() {
    policy(1, 1, 1_000);
    checkpoint("a");
    checkpoint("b");
    env.pass(2_000);
    look();
    look();
    assertThat(checkpoints()).containsExactly("run/a/", "run/b/");
  }

  @Test
  void withoutAMarkerEachObjectExpiresForItself() {
    set(new PrefixPolicy("tmp/", "", 0, 0, 1_000));
    publish("tmp/a", HELD);
    publish("tmp/deep/b", HELD);
    publish("tmp/stored", BACK);
    publish("tmpfile", HELD);
    publish("tmp/", HELD);
    env.pass(500);
    publish("tmp/c", HELD);
    env.pass(500);
    look();
    assertThat(keys()).containsExactly("tmp/", "tmp/c", "tmp/stored", "tmpfile");
    publish("tmp/c", HELD);
    env.pass(500);
    look();
    assertThat(keys()).contains("tmp/c");
  }

  @Test
  void anObjectWhoseNameIsADirectorysExpiresNotWithWhatLiesBelow() {
    set(new PrefixPolicy("tmp/", "", 0, 0, 1_000));
    env.pass(600);
    publish("tmp/a/x", HELD);
    env.pass(-600); // another leader's clock
    publish("tmp/a/", HELD);
    env.pass(1_000);
    look();
    assertThat(keys()).contains("tmp/a/x");
  }
}
