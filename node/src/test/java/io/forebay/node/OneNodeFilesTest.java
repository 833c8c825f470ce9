package io.forebay.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FileServiceContract;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.PathStatus;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The contract of the file service, kept by a whole node. */
class OneNodeFilesTest extends FileServiceContract {
  private NodeCluster cluster;

  @Override
  protected FileService service() {
    cluster = new NodeCluster(1);
    return cluster.node(0).files();
  }

  @Test
  void aRangeAcrossTheEndOfASliceIsKeptInMemoryToo() {
    FileService files = cluster.node(0).files();
    files.createBucket(
        new BucketSpec(
            "models",
            new Family(1, 1, Durability.REPLICATED),
            "",
            FlushMode.CACHE_ONLY,
            List.of(),
            4 << 20,
            0,
            1_000));
    int slice = 1 << 20;
    try (var body = files.create("models", "key", WriteOptions.DEFAULT)) {
      for (int i = 0; i < 12; i++) {
        Bytes bytes = new Synthetic(7, i * (slice / 4L), slice / 4);
        body.write(bytes);
        bytes.release();
      }
      var _ = body.publish(Optional.empty());
    }
    int length = 2_000;
    for (int time = 1; time <= 3; time++) {
      long before = cluster.node(0).status().memoryTierHits();
      try (ObjectReader reader = files.open("models", "key", ReadConditions.NONE)) {
        int from = slice - length / 2;
        for (int at = 0; at < length; ) {
          Bytes read = reader.read(from + at, length - at);
          var expected = new Synthetic(7, from + at, read.length());
          assertThat(read.toArray()).isEqualTo(expected.toArray());
          expected.release();
          at += read.length();
          read.release();
        }
      }
      // Named by the first read, kept by the second, found by the third; what is read ahead behind
      // the range may be found, too.
      long hits = cluster.node(0).status().memoryTierHits() - before;
      assertThat(hits).isGreaterThanOrEqualTo(time == 3 ? 2 : 0);
    }
  }

  @Test
  void whatTheOnlyVotersLogKeepsIsLostWithIt() {
    FileService files = cluster.node(0).files();
    files.createBucket(BucketSpec.of("small", new Family(1, 1, Durability.REPLICATED), ""));
    try (var body = files.create("small", "key", WriteOptions.DEFAULT)) {
      body.write(new Synthetic(7, 0, 100));
      var _ = body.publish(Optional.empty());
    }
    assertThat(files.pathStatus("small", "key").losses())
        .containsExactly(new PathStatus.NodeLoss(cluster.node(0).id(), 100, 0));
  }

  /** Its node died between the two logs, or was of a version that cannot remove it. */
  @Test
  void aBucketOfWhichOnlyTheFirstHalfOfTheRemovalIsDoneIsMadeAnew() {
    FileService files = cluster.node(0).files();
    var spec = BucketSpec.of("half", new Family(1, 1, Durability.REPLICATED), "");
    Bucket old = files.createBucket(spec);
    assertThatThrownBy(() -> files.createBucket(spec)).hasMessageContaining("exists");
    assertThat(cluster.node(0).plane().namespace(new NamespaceCommand.SealBucket(old.id())))
        .isInstanceOf(NamespaceResult.Done.class);
    assertThatThrownBy(() -> files.stat("half", "key")).hasMessageContaining("being deleted");
    assertThat(files.createBucket(spec).id()).isNotEqualTo(old.id());
    assertThat(files.stat("half", "key")).isEmpty();
  }

  @Test
  void theAnswersOfBodiesWithoutChunksAreForgotten() {
    FileService files = cluster.node(0).files();
    files.createBucket(
        new BucketSpec(
            "small",
            new Family(1, 1, Durability.REPLICATED),
            "",
            FlushMode.CACHE_ONLY,
            List.of(),
            BucketSpec.DEFAULT_CHUNK_BYTES,
            0,
            1_000));
    for (int i = 0; i < 20; i++) {
      try (var body = files.create("small", "key" + i, WriteOptions.DEFAULT)) {
        var _ = body.publish(Optional.empty());
      }
    }
    cluster.await(
        "the session's report that 20 publishes are over",
        () ->
            cluster.node(0).plane().query(new NamespaceQuery.Sessions())
                    instanceof NamespaceAnswer.OpenSessions open
                && open.sessions().stream().anyMatch(session -> session.answeredBelow() == 21));
  }

  @Test
  void whoDeletesABucketIsToldOfABegunCheckpointAndHowToDeleteIt() {
    FileService files = cluster.node(0).files();
    files.createBucket(BucketSpec.of("train", new Family(1, 1, Durability.REPLICATED), ""));
    files.setPolicies(
        "train",
        List.of(),
        List.of(
            new PrefixPolicy("a/", "", 0, 0, 60_000),
            new PrefixPolicy("run/", "done/ok", 1, 0, 0)));
    for (String key : List.of("run/2/x/rank-0", "run/2/done/ok", "run/latest")) {
      try (var body = files.create("train", key, WriteOptions.DEFAULT)) {
        var _ = body.publish(Optional.empty());
      }
    }
    assertThatThrownBy(() -> files.deleteBucket("train"))
        .as("complete")
        .hasMessage(
            "deleting bucket 'train': it holds 'run/2/done/ok'; `forebay rm -r train/` deletes all"
                + " that `forebay ls -r train/` lists");
    files.delete("train", "run/2/done/ok", WriteConditions.NONE);
    assertThatThrownBy(() -> files.deleteBucket("train"))
        .hasMessage(
            "deleting bucket 'train': it holds 'run/2/x/rank-0', which is of a begun checkpoint:"
                + " listings leave it out until 'run/2/done/ok' is published; `forebay rm -r"
                + " train/run/2/` deletes it, `forebay ls -r --all train/` shows all that the bucket"
                + " holds");
    files.delete("train", "run/2/x/rank-0", WriteConditions.NONE);
    assertThatThrownBy(() -> files.deleteBucket("train"))
        .as("beside checkpoints")
        .hasMessageContaining("it holds 'run/latest'; `forebay rm -r train/`");
  }

  @AfterEach
  void end() {
    cluster.close();
  }
}
