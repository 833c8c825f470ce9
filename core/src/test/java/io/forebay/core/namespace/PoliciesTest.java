package io.forebay.core.namespace;

import static io.forebay.core.namespace.Shard.BACK;
import static io.forebay.core.namespace.Shard.BUCKET;
import static io.forebay.core.namespace.Shard.CACHE_ONLY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.SessionId;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What policies may do to what was published: the commands that carry them out. */
final class PoliciesTest {
  static final PrefixPolicy RUN = new PrefixPolicy("run/", "_DONE", 2, 3, 0);

  private final Shard shard = new Shard();
  private final SessionId session = shard.session();
  private long chunk = 1;

  private Generation publish(String key, FlushPolicy policy) {
    Manifest manifest = Shard.chunks(session, chunk, chunk + 1);
    chunk++;
    return shard.publish(session, key, manifest, policy).generation();
  }

  private static NamespaceCommand letGo(String path, Generation upTo) {
    return new NamespaceCommand.LetGo(BUCKET, RUN, path, upTo, CACHE_ONLY);
  }

  private void set(PrefixPolicy... policies) {
    shard.apply(
        new NamespaceCommand.SetPolicies(BUCKET, List.of(policies)), NamespaceResult.Done.class);
  }

  @BeforeEach
  void aPolicyIsInForce() {
    set(RUN);
  }

  private void letsGo(int count, String path, Generation upTo) {
    assertThat(shard.apply(letGo(path, upTo), NamespaceResult.Expired.class).count())
        .isEqualTo(count);
  }

  private void flushHeld(Generation upTo, String... keys) {
    shard.apply(
        new NamespaceCommand.FlushHeld(BUCKET, List.of(keys), upTo, BACK),
        NamespaceResult.Done.class);
  }

  private List<BucketPolicies> policies() {
    return ((NamespaceAnswer.Policies) shard.query(new NamespaceQuery.AllPolicies())).buckets();
  }

  @Test
  void policiesAreKeptByBucketUntilTheyAreReplacedOrTheBucketIsSealed() {
    var other = new BucketId(2);
    shard.apply(new NamespaceCommand.SetPolicies(other, List.of(RUN)), NamespaceResult.Done.class);
    assertThat(policies())
        .containsExactly(
            new BucketPolicies(BUCKET, List.of(RUN)), new BucketPolicies(other, List.of(RUN)));

    // Who has seen others is told, and what was set meanwhile stays.
    var beside = new PrefixPolicy("beside/", "", 0, 0, 1);
    shard.refuses(
        new NamespaceCommand.ReplacePolicies(other, List.of(), List.of(beside)),
        ErrorCode.CONCURRENT_CHANGE);
    var both = List.of(beside, RUN);
    shard.apply(
        new NamespaceCommand.ReplacePolicies(other, List.of(RUN), both),
        NamespaceResult.Done.class);
    assertThat(policies()).contains(new BucketPolicies(other, both));

    set();
    shard.apply(new NamespaceCommand.SealBucket(other), NamespaceResult.Done.class);
    assertThat(policies()).isEmpty();
    shard.refuses(new NamespaceCommand.SetPolicies(other, List.of(RUN)), ErrorCode.NO_SUCH_BUCKET);
  }

  @Test
  void eachKeyHasOnePolicyAtMost() {
    var inside = new PrefixPolicy("run/logs/", "", 0, 0, 1);
    shard.refuses(
        new NamespaceCommand.SetPolicies(BUCKET, List.of(inside, RUN)), ErrorCode.INVALID_ARGUMENT);
    shard.refuses(
        new NamespaceCommand.SetPolicies(BUCKET, List.of(RUN, RUN)), ErrorCode.INVALID_ARGUMENT);
    var beside = new PrefixPolicy("running/", "", 0, 0, 1);
    set(RUN, beside);
  }

  @Test
  void aPolicyThatWouldDoNothingOrCannotCountIsNone() {
    assertThatThrownBy(() -> new PrefixPolicy("run", "_DONE", 1, 0, 0)).hasMessageContaining("'/'");
    assertThatThrownBy(() -> new PrefixPolicy("run/", "_DONE", 0, 0, 0))
        .hasMessageContaining("something");
    assertThatThrownBy(() -> new PrefixPolicy("run/", "", 1, 0, 0)).hasMessageContaining("marker");
    assertThatThrownBy(() -> new PrefixPolicy("run/", "a/", 1, 0, 0)).hasMessageContaining("file");
    assertThatThrownBy(() -> new PrefixPolicy("run/", "_DONE", -1, 0, 0)).hasMessageContaining("0");
  }

  @Test
  void aDirectoryInTheCacheOnlyIsLetGoAsAWhole() {
    publish("run/1/rank-0", CACHE_ONLY);
    publish("run/1/deep/rank-1", CACHE_ONLY);
    Generation marker = publish("run/1/_DONE", CACHE_ONLY);
    publish("run/10/rank-0", CACHE_ONLY);

    letsGo(3, "run/1/", marker);
    assertThat(shard.stat("run/1/_DONE")).isEmpty();
    assertThat(shard.stat("run/1/rank-0")).isEmpty();
    assertThat(shard.stat("run/1/deep/rank-1")).isEmpty();
    assertThat(shard.stat("run/10/rank-0")).as("a neighbour whose name begins alike").isPresent();
    letsGo(0, "run/1/", marker);
  }

  @Test
  void nothingIsLetGoByAPolicyThatIsNotInForce() {
    Generation only = publish("run/1/_DONE", CACHE_ONLY);
    publish("else/1/_DONE", CACHE_ONLY);
    shard.refuses(letGo("else/1/", new Generation(99)), ErrorCode.CONCURRENT_CHANGE);
    set(new PrefixPolicy("run/", "_DONE", 3, 3, 0));
    shard.refuses(letGo("run/1/", only), ErrorCode.CONCURRENT_CHANGE);
    set();
    shard.refuses(letGo("run/1/", only), ErrorCode.CONCURRENT_CHANGE);
    set(RUN);
    letsGo(1, "run/1/", only);
  }

  @Test
  void readersOfWhatWasLetGoHaveTheirTimeAndThenItsChunksAreGarbage() {
    Generation only = publish("run/1/_DONE", CACHE_ONLY);
    shard.close(session);
    letsGo(1, "run/1/", only);
    assertThat(shard.use().heldBytes()).isEqualTo(10);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.OWED);

    shard.now += CACHE_ONLY.readGraceMillis();
    shard.tick();
    assertThat(shard.use().heldBytes()).isZero();
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.GARBAGE);
  }

  @Test
  void nothingIsLetGoWhenAnythingBelowIsNewerThanWasSeen() {
    Generation seen = publish("run/1/_DONE", CACHE_ONLY);
    publish("run/1/rank-0", CACHE_ONLY);
    shard.refuses(letGo("run/1/", seen), ErrorCode.CONCURRENT_CHANGE);
    assertThat(shard.stat("run/1/_DONE")).isPresent();

    Generation again = publish("run/1/_DONE", CACHE_ONLY);
    shard.refuses(letGo("run/1/_DONE", seen), ErrorCode.CONCURRENT_CHANGE);
    letsGo(1, "run/1/_DONE", again);
    assertThat(shard.stat("run/1/rank-0")).as("one object is one object").isPresent();
  }

  @Test
  void nothingIsLetGoThatTheStoreHasOrIsToGet() {
    Generation first = publish("run/1/a", CACHE_ONLY);
    Generation waiting = publish("run/1/b", BACK);
    shard.refuses(letGo("run/1/", waiting), ErrorCode.CONCURRENT_CHANGE);

    shard.flush("run/1/b", "e1");
    shard.refuses(letGo("run/1/", waiting), ErrorCode.CONCURRENT_CHANGE);
    assertThat(shard.stat("run/1/a")).isPresent();
    assertThat(shard.stat("run/1/b")).isPresent();
    letsGo(1, "run/1/a", first);
  }

  @Test
  void nothingIsLetGoWhoseOlderBytesAreStillToLeaveTheStore() {
    publish("run/1/a", BACK);
    shard.flush("run/1/a", "e1");
    Generation over = publish("run/1/a", CACHE_ONLY);
    shard.refuses(letGo("run/1/a", over), ErrorCode.CONCURRENT_CHANGE);
    shard.flush("run/1/a", "");
    letsGo(1, "run/1/a", over);
  }

  @Test
  void aDirectoryOfTooManyObjectsStays() {
    Generation last = new Generation(0);
    for (int i = 0; i <= Objects.MAX_AT_ONCE; i++) {
      last =
          shard
              .publish(session, "run/1/" + i, new Manifest.Inline(new byte[] {1}), CACHE_ONLY)
              .generation();
    }
    shard.refuses(letGo("run/1/", last), ErrorCode.NOT_IMPLEMENTED);
    letsGo(1, "run/1/0", last);
    letsGo(Objects.MAX_AT_ONCE, "run/1/", last);
  }

  /** To pass over all that was removed before it stopped the log for seconds. */
  @Test
  void lettingADirectoryGoLooksAtEachOfItsFilesAFewTimesOnly() {
    int files = 2_000;
    Generation last = new Generation(0);
    for (int i = 0; i < files; i++) {
      last =
          shard
              .publish(session, "run/1/" + i, new Manifest.Inline(new byte[] {1}), CACHE_ONLY)
              .generation();
    }
    var counting = new CountingView(shard.map.view());
    var batch = new Batch();
    try (SortedMap.View view = counting) {
      assertThat(
              shard.machine.apply(
                  shard.index++, shard.now, shard.level, letGo("run/1/", last), batch, view))
          .isInstanceOf(NamespaceResult.Expired.class);
    }
    assertThat(counting.visits).isLessThan(20L * files);
  }

  @Test
  void whatWasHeldIsFlushedAsTheGenerationThatItIs() {
    Generation held = publish("run/1/a", CACHE_ONLY);
    shard.now += 5;
    flushHeld(held, "run/1/a", "run/1/absent");

    ObjectHead pending = shard.stat("run/1/a").orElseThrow();
    assertThat(pending.generation()).isEqualTo(held);
    assertThat(pending.flush()).isEqualTo(FlushState.PENDING);
    assertThat(pending.modifiedMillis()).isEqualTo(shard.now - 5);
    assertThat(shard.recordOf("run/1/absent")).isEmpty();
    FlushTask task = shard.begin("run/1/a");
    assertThat(task.generation()).isEqualTo(held);
    assertThat(task.kind()).isEqualTo(FlushKind.PUT);
    assertThat(task.condition()).isEqualTo(new StoreSight.Absent());
    shard.end("run/1/a", task.attempt(), "e1");
    shard.close(session);
    assertThat(shard.state(session, 1)).isEqualTo(ChunkState.CLEAN);
    assertThat(shard.use().heldBytes()).isZero();
  }

  @Test
  void whatIsFlushedOrOnItsWayIsNotFlushedAgain() {
    Generation held = publish("run/1/a", CACHE_ONLY);
    flushHeld(held, "run/1/a");
    FlushRecord waiting = shard.record("run/1/a");
    flushHeld(held, "run/1/a");
    assertThat(shard.record("run/1/a")).isEqualTo(waiting);

    shard.flush("run/1/a", "e1");
    FlushRecord flushed = shard.record("run/1/a");
    flushHeld(held, "run/1/a");
    assertThat(shard.record("run/1/a")).isEqualTo(flushed);
  }

  @Test
  void aGenerationThatNobodySawIsNotFlushed() {
    Generation seen = publish("run/1/a", CACHE_ONLY);
    publish("run/1/a", CACHE_ONLY);
    flushHeld(seen, "run/1/a");
    assertThat(shard.recordOf("run/1/a")).isEmpty();
  }

  @Test
  void whatReplacedAFlushedGenerationInTheCacheOnlyIsFlushedOverIt() {
    publish("run/1/a", BACK);
    shard.flush("run/1/a", "e1");
    Generation over = publish("run/1/a", CACHE_ONLY); // the store is to lose the older one
    flushHeld(over, "run/1/a");
    FlushTask task = shard.begin("run/1/a");
    assertThat(task.kind()).isEqualTo(FlushKind.PUT);
    assertThat(task.generation()).isEqualTo(over);
    assertThat(task.condition()).isEqualTo(new StoreSight.Present("e1"));
  }

  @Test
  void nothingIsHeldForAPolicyThatDoesNotFlush() {
    Generation held = publish("run/1/a", CACHE_ONLY);
    shard.refuses(
        new NamespaceCommand.FlushHeld(BUCKET, List.of("run/1/a"), held, CACHE_ONLY),
        ErrorCode.INVALID_ARGUMENT);
  }
}
