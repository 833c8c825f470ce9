package io.forebay.core.lease;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.StillEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.BucketId;
import io.forebay.core.lease.LeaseCache.Ticket;
import io.forebay.core.namespace.NamespaceAnswer;
import java.util.List;
import org.junit.jupiter.api.Test;

class LeaseCacheTest {
  private static final Directory HOT = new Directory(new BucketId(1), "hot/");
  private static final long LENGTH = 1_000_000_000L;

  private final StillEnv env = new StillEnv();
  private final LeaseCache cache = new LeaseCache(env);

  private static NamespaceAnswer answer(String text) {
    return new NamespaceAnswer.Refused(ErrorCode.NOT_FOUND, text);
  }

  private static Grant grant(long term, long number) {
    return new Grant(term, number, LENGTH);
  }

  private void learn(String key, String text, Grant grant) {
    cache.end(cache.begin(HOT), grant, key, answer(text), 100);
  }

  private void knows(String key, String text) {
    assertThat(cache.find(HOT, key).map(LeaseCache.Hit::answer)).contains(answer(text));
  }

  private void knowsNothingOf(String key) {
    assertThat(cache.find(HOT, key)).isEmpty();
  }

  @Test
  void aLeaseIsCountedFromWhenTheRequestWasSent() {
    Ticket ticket = cache.begin(HOT);
    env.pass(600);
    cache.end(ticket, grant(1, 1), "a", answer("1"), 100);
    env.pass(399);
    knows("a", "1");
    env.pass(1);
    knowsNothingOf("a");
    Ticket slow = cache.begin(HOT);
    env.pass(1_000);
    cache.end(slow, grant(1, 2), "a", answer("1"), 100);
    knowsNothingOf("a");
  }

  @Test
  void aMachineThatStoodStillKnowsNothingAnymore() {
    learn("a", "1", grant(1, 1));
    env.stand(1_000);
    knowsNothingOf("a");
  }

  @Test
  void aRevocationAlsoVoidsWhatIsUnderWay() {
    learn("a", "1", grant(1, 1));
    Ticket ticket = cache.begin(HOT);
    assertThat(cache.revoke(cache.run(), List.of(HOT))).isTrue();
    knowsNothingOf("a");
    cache.end(ticket, grant(1, 1), "b", answer("old"), 100);
    knowsNothingOf("b");
    learn("b", "new", grant(1, 2));
    knows("b", "new");
  }

  @Test
  void anotherRunsLeasesAreNotConfirmed() {
    learn("a", "1", grant(1, 1));
    assertThat(cache.revoke(cache.run() + 1, List.of(HOT))).isFalse();
    knows("a", "1");
  }

  @Test
  void aProlongedLeaseCoversWhatWasLearntUnderIt() {
    learn("a", "1", grant(1, 1));
    env.pass(900);
    learn("b", "2", grant(1, 1));
    env.pass(900);
    knows("a", "1");
    knows("b", "2");
  }

  @Test
  void anotherLeaseSaysNothingOfWhatWasLearntBefore() {
    learn("a", "1", grant(1, 1));
    learn("b", "2", grant(1, 2));
    knowsNothingOf("a");
    learn("c", "3", grant(2, 1)); // of another leader
    knowsNothingOf("b");
    knows("c", "3");
  }

  @Test
  void anAnswerThatWasOvertakenIsNotKept() {
    Ticket slow = cache.begin(HOT);
    learn("b", "2", grant(1, 2));
    cache.end(slow, grant(1, 1), "a", answer("old"), 100);
    knowsNothingOf("a");
    knows("b", "2");
  }

  @Test
  void oneReaderIsAskedToProlongInTheSecondHalf() {
    learn("a", "1", grant(1, 1));
    env.pass(499);
    assertThat(cache.find(HOT, "a").orElseThrow().renew()).isFalse();
    env.pass(1);
    assertThat(cache.find(HOT, "a").orElseThrow().renew()).isTrue();
    assertThat(cache.find(HOT, "a").orElseThrow().renew()).isFalse();
    cache.end(cache.begin(HOT)); // it failed
    assertThat(cache.find(HOT, "a").orElseThrow().renew()).isTrue();
  }

  @Test
  void aCopyGoesOnApart() {
    learn("a", "1", grant(1, 1));
    Ticket ticket = cache.begin(HOT);
    var copy = new LeaseCache(cache);
    cache.revoke(cache.run(), List.of(HOT));
    assertThat(cache.isUnderWay(ticket)).isFalse();
    assertThat(copy.isUnderWay(ticket)).isTrue();
    copy.end(ticket, grant(1, 1), "b", answer("2"), 100);
    assertThat(cache.known()).isEmpty();
    assertThat(copy.known().getFirst().answers()).containsOnlyKeys("a", "b");
  }

  @Test
  void memoryIsBounded() {
    for (int i = 0; i < 40; i++) {
      var directory = new Directory(new BucketId(1), i + "/");
      cache.end(cache.begin(directory), grant(1, i), "k", answer("v"), 1 << 20);
    }
    assertThat(cache.counters().bytes()).isLessThanOrEqualTo(LeaseCache.MAX_BYTES);
    assertThat(cache.find(new Directory(new BucketId(1), "39/"), "k")).isPresent();
    assertThat(cache.find(new Directory(new BucketId(1), "0/"), "k")).isEmpty();
  }
}
