package io.forebay.core.namespace;

import static io.forebay.core.namespace.Shard.BUCKET;
import static io.forebay.core.namespace.Shard.CACHE_ONLY;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.SessionId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What listings leave out while a checkpoint has no marker. */
final class BegunTest {
  private static final String[] NAMES = {"a", "b", "b-1", "done", "é"};
  private static final String[] PREFIXES = {"", "a", "a/", "a/b", "a/b/", "b-1/", "b/done/"};
  private static final String[] DELIMITERS = {"", "/", "-", "b", "/b", "done"};
  private static final List<List<PrefixPolicy>> POLICIES =
      List.of(
          List.of(),
          List.of(run("", "done")),
          List.of(run("a/", "done"), run("b/", "done"), run("b-1/", "b/done")),
          List.of(run("a/b/", "a"), new PrefixPolicy("b/", "", 0, 0, 1)));

  private final Shard shard = new Shard();
  private final SessionId session = shard.session();
  private final TreeSet<String> keys = new TreeSet<>(ObjectKey.ORDER);
  private List<PrefixPolicy> policies = List.of();
  private long chunk = 1;

  private static PrefixPolicy run(String prefix, String marker) {
    return new PrefixPolicy(prefix, marker, 1, 0, 0);
  }

  /** Pages in the order in which they came. */
  private record Listed(List<String> objects, List<String> common) {
    Listed() {
      this(new ArrayList<>(), new ArrayList<>());
    }
  }

  private void publish(String key) {
    shard.publish(session, key, Shard.chunks(session, chunk, chunk + 1), CACHE_ONLY);
    chunk++;
    keys.add(key);
  }

  private void delete(String key) {
    shard.apply(new NamespaceCommand.Delete(BUCKET, key, Preconditions.NONE, CACHE_ONLY));
    keys.remove(key);
  }

  private void set(List<PrefixPolicy> next) {
    shard.apply(new NamespaceCommand.SetPolicies(BUCKET, next), NamespaceResult.Done.class);
    policies = next;
  }

  private boolean isHidden(String listed, String start, String key) {
    for (PrefixPolicy policy : policies) {
      int slash = key.indexOf('/', policy.prefix().length());
      if (policy.ofCheckpoints() && key.startsWith(policy.prefix()) && slash >= 0) {
        String directory = key.substring(0, slash + 1);
        boolean inside = start.startsWith(directory) && !start.equals(directory);
        return !inside
            && !listed.startsWith(directory)
            && !keys.contains(directory + policy.marker());
      }
    }
    return false;
  }

  private Listed expected(String prefix, String delimiter, String start) {
    var expected = new Listed();
    for (String key : keys) {
      if (!key.startsWith(prefix)
          || ObjectKey.ORDER.compare(key, start) <= 0
          || isHidden(prefix, start, key)) {
        continue;
      }
      int at = delimiter.isEmpty() ? -1 : key.indexOf(delimiter, prefix.length());
      if (at < 0) {
        expected.objects().add(key);
        continue;
      }
      String rolled = key.substring(0, at + delimiter.length());
      if (!rolled.equals(start) && !expected.common().contains(rolled)) {
        expected.common().add(rolled);
      }
    }
    return expected;
  }

  private Optional<String> page(
      String prefix, String delimiter, String after, int max, Listed into) {
    var page =
        (NamespaceAnswer.Listing)
            shard.query(new NamespaceQuery.ListObjects(BUCKET, prefix, delimiter, after, max));
    assertThat(page.objects().size() + page.commonPrefixes().size()).isLessThanOrEqualTo(max);
    page.objects().forEach(head -> into.objects().add(head.key()));
    into.common().addAll(page.commonPrefixes());
    return page.next();
  }

  private Listed listed(String prefix, String delimiter, String start, int max) {
    var listed = new Listed();
    Optional<String> after = Optional.of(start);
    while (after.isPresent()) {
      after = page(prefix, delimiter, after.get(), max, listed);
    }
    return listed;
  }

  private static String key(SplittableRandom random) {
    var key = new StringBuilder(pick(NAMES, random));
    for (int depth = random.nextInt(4); depth > 0; depth--) {
      key.append('/').append(pick(NAMES, random));
    }
    return key.append(random.nextInt(20) == 0 ? "/" : "").toString();
  }

  private static String pick(String[] from, SplittableRandom random) {
    return from[random.nextInt(from.length)];
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void pagesLeaveOutWhatAModelLeavesOutAlsoWhenPoliciesChangeBetweenThem(long seed) {
    var random = new SplittableRandom(seed);
    for (int step = 0; step < 2_000; step++) {
      String key = key(random);
      if (keys.contains(key) && random.nextInt(3) > 0) {
        delete(key);
      } else if (keys.size() < 60) {
        publish(key);
      }
      if (random.nextInt(20) == 0) {
        set(POLICIES.get(random.nextInt(POLICIES.size())));
      }
      String prefix = pick(PREFIXES, random);
      String delimiter = pick(DELIMITERS, random);
      String start = random.nextBoolean() ? "" : key(random);
      int max = random.nextInt(1, 5);
      String what =
          "prefix '%s' delimiter '%s' after '%s' of %s by %s"
              .formatted(prefix, delimiter, start, keys, policies);
      assertThat(listed(prefix, delimiter, start, max))
          .as(what)
          .isEqualTo(expected(prefix, delimiter, start));
      Optional<String> next = page(prefix, delimiter, start, max, new Listed());
      if (next.isPresent()) {
        List<PrefixPolicy> before = policies;
        set(POLICIES.get(random.nextInt(POLICIES.size())));
        assertThat(listed(prefix, delimiter, next.get(), max))
            .as(what + ", then by " + policies)
            .isEqualTo(expected(prefix, delimiter, next.get()));
        set(before);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void whoDeletesPageByPageIsShownAllThatWasShownAtTheBeginning(long seed) {
    var random = new SplittableRandom(seed);
    for (int step = 0; step < 200; step++) {
      while (keys.size() < 40) {
        publish(key(random));
      }
      set(POLICIES.get(random.nextInt(POLICIES.size())));
      String prefix = pick(PREFIXES, random);
      List<String> shown = expected(prefix, "", "").objects();
      int max = random.nextInt(1, 5);
      var deleted = new Listed();
      Optional<String> after = Optional.of("");
      while (after.isPresent()) {
        int from = deleted.objects().size();
        after = page(prefix, "", after.get(), max, deleted);
        deleted.objects().subList(from, deleted.objects().size()).forEach(this::delete);
      }
      assertThat(deleted.objects()).isEqualTo(shown);
    }
  }

  @Test
  void aPageThatPassesOverMuchEndsAndTheNextGoesOn() {
    set(List.of(run("run/", "done")));
    for (int i = 0; i <= NamespaceQuery.MAX_HIDDEN; i++) {
      publish("run/%05d/rank-0".formatted(i));
    }
    publish("seen");
    for (String delimiter : List.of("", "/")) {
      var first = new Listed();
      Optional<String> next = page("run/", delimiter, "", 1, first);
      assertThat(first).isEqualTo(new Listed());
      assertThat(next).contains("run/09999/");
      assertThat(page("run/", delimiter, next.orElseThrow(), 1, first)).isEmpty();
      assertThat(first).isEqualTo(new Listed());
    }
    assertThat(listed("", "", "", 1).objects()).containsExactly("seen");
    assertThat(listed("", "/", "", 1).common()).as("nobody looks so far").containsExactly("run/");

    publish("run/10000/done");
    Listed all = listed("run/", "/", "", 1);
    assertThat(all.common()).containsExactly("run/10000/");
  }

  @Test
  void whoeverCarriesPoliciesOutSeesAll() {
    set(List.of(run("run/", "done")));
    publish("run/1/rank-0");
    var all =
        (NamespaceAnswer.Listing)
            shard.query(new NamespaceQuery.ListAll(BUCKET, "run/", "/", "", 10));
    assertThat(all.commonPrefixes()).containsExactly("run/1/");
  }
}
