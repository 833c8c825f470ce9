package io.forebay.core.lease;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.Preconditions;
import java.util.List;
import org.junit.jupiter.api.Test;

class TouchedTest {
  private static final BucketId BUCKET = new BucketId(1);

  private static final FlushPolicy POLICY = new FlushPolicy(FlushMode.CACHE_ONLY, 0, 0);

  private static Directory directory(String path) {
    return new Directory(BUCKET, path);
  }

  private static Touched rename(String from, String to) {
    return Touched.by(new NamespaceCommand.Rename(BUCKET, from, to, POLICY));
  }

  @Test
  void aKeyLiesInTheDirectoryOfItsLastSlash() {
    assertThat(Directory.of(BUCKET, "a")).isEqualTo(directory(""));
    assertThat(Directory.of(BUCKET, "a/b/c")).isEqualTo(directory("a/b/"));
    assertThat(Directory.of(BUCKET, "a/b/")).isEqualTo(directory("a/b/"));
  }

  @Test
  void aDeletionTouchesTheDirectoriesOfItsKeysAndNoOther() {
    Touched touched =
        Touched.by(new NamespaceCommand.DeleteMany(BUCKET, List.of("x/1", "x/2", "y/z/1"), POLICY));
    assertThat(touched.directories()).containsExactly(directory("x/"), directory("y/z/"));
    assertThat(touched.touches(directory("x/"))).isTrue();
    assertThat(touched.touches(directory("y/"))).isFalse();
    assertThat(touched.touches(new Directory(new BucketId(2), "x/"))).isFalse();
    assertThat(Touched.by(new NamespaceCommand.Delete(BUCKET, "x/1", Preconditions.NONE, POLICY)))
        .isEqualTo(new Touched(List.of(directory("x/")), List.of(), false));
  }

  @Test
  void aRenameTouchesBothPlacesAndOfPrefixesEverythingBelow() {
    assertThat(rename("a/1", "b/2").directories())
        .containsExactly(directory("a/"), directory("b/"));
    Touched below = rename("a/b/", "c/d/");
    for (String path : List.of("a/b/", "a/b/x/y/", "c/d/", "c/d/x/")) {
      assertThat(below.touches(directory(path))).as(path).isTrue();
    }
    for (String path : List.of("", "a/", "c/", "a/bx/", "e/")) {
      assertThat(below.touches(directory(path))).as(path).isFalse();
    }
  }

  @Test
  void aPrefixWithinANameTouchesTheDirectoryOfTheName() {
    Touched touched = Touched.by(new NamespaceCommand.FlushNow(BUCKET, "a/b", "", 10));
    for (String path : List.of("a/", "a/b/", "a/bx/y/")) {
      assertThat(touched.touches(directory(path))).as(path).isTrue();
    }
    assertThat(touched.touches(directory(""))).isFalse();
    assertThat(touched.touches(directory("a/c/"))).isFalse();
  }

  private static Touched letGo(String path) {
    return Touched.by(
        new NamespaceCommand.LetGo(
            BUCKET, new PrefixPolicy("run/", "_DONE", 1, 0, 0), path, new Generation(1), POLICY));
  }

  @Test
  void whatAPolicyLetsGoOrFlushesTouchesWhereItLies() {
    Touched whole = letGo("run/1/");
    for (String path : List.of("run/1/", "run/1/deep/")) {
      assertThat(whole.touches(directory(path))).as(path).isTrue();
    }
    assertThat(whole.touches(directory("run/"))).isFalse();
    assertThat(letGo("run/1/a").directories()).containsExactly(directory("run/1/"));
    assertThat(
            Touched.by(
                    new NamespaceCommand.FlushHeld(
                        BUCKET, List.of("run/1/a", "run/2/b"), new Generation(1), POLICY))
                .directories())
        .containsExactly(directory("run/1/"), directory("run/2/"));
    assertThat(Touched.by(new NamespaceCommand.SetPolicies(BUCKET, List.of())).nothing()).isTrue();
    assertThat(Touched.by(new NamespaceCommand.SealBucket(BUCKET)).prefixes())
        .as("what was absent is refused then")
        .containsExactly(new Touched.Prefix(BUCKET, ""));
  }

  @Test
  void sessionsTouchNothingAndADeadNodesFlushesMayTouchAnything() {
    assertThat(Touched.by(new NamespaceCommand.CloseSession(new SessionId(7))).nothing()).isTrue();
    assertThat(
            Touched.by(new NamespaceCommand.FlushAbandon(new NodeId("n1")))
                .touches(directory("any/")))
        .isTrue();
  }
}
