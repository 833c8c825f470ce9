package io.forebay.node.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.ListQuery;
import io.forebay.core.id.BucketId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a bucket holds, where the namespace does not say. */
final class ContentsTest {
  private static final Bucket BUCKET =
      new Bucket(
          new BucketId(1),
          "train",
          new Family(1, 1, Durability.REPLICATED),
          "",
          FlushMode.CACHE_ONLY,
          List.of(),
          1 << 20,
          0,
          1_000,
          0);
  private static final NamespaceResult.Refused REFUSED =
      new NamespaceResult.Refused(ErrorCode.BUCKET_NOT_EMPTY, "the bucket holds objects");

  /** A namespace that fails whatever it is asked. */
  private record Failing(ErrorCode code, String message) implements ControlPlane {
    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      throw new ForebayException(code, message);
    }

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public ClusterImage image() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {
      throw new UnsupportedOperationException();
    }
  }

  private static ForebayException asked(ErrorCode code, String message) {
    var contents = new Contents(new Failing(code, message));
    return catchThrowableOfType(
        ForebayException.class,
        () -> contents.page(BUCKET.id(), new ListQuery("", "", "", ListQuery.MAX)));
  }

  @Test
  void aLeaderOfAnOlderVersionIsNamedAndAskedAgainLater() {
    ForebayException failure = asked(ErrorCode.CORRUPT, "NamespaceQuery has no choice with tag 17");
    assertThat(failure.code()).isEqualTo(ErrorCode.UNAVAILABLE);
    assertThat(failure).hasMessageContainingAll("older version", "replace it", "tag 17");
    assertThat(asked(ErrorCode.TIMEOUT, "no answer").code()).isEqualTo(ErrorCode.TIMEOUT);
  }

  @ParameterizedTest
  @EnumSource(names = {"CORRUPT", "UNAVAILABLE"})
  void aBucketIsNotEmptyAlsoWhereNobodySaysWhatIsInTheWay(ErrorCode code) {
    ForebayException refusal = new Contents(new Failing(code, "cut off")).notEmpty(BUCKET, REFUSED);
    assertThat(refusal.code()).isEqualTo(ErrorCode.BUCKET_NOT_EMPTY);
    assertThat(refusal).hasMessage("deleting bucket 'train': the bucket holds objects");
  }

  @Test
  void whoIsCancelledWhileAskingIsCancelled() {
    var contents = new Contents(new Failing(ErrorCode.CANCELLED, "interrupted"));
    ForebayException failure =
        catchThrowableOfType(
            ForebayException.class,
            () -> {
              throw contents.notEmpty(BUCKET, REFUSED);
            });
    assertThat(failure.code()).isEqualTo(ErrorCode.CANCELLED);
  }
}
