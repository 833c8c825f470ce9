package io.forebay.backing.s3;

import io.forebay.backing.http.PartAnswer;
import io.forebay.backing.http.Transfer;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.SdkPublisher;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;

/**
 * Takes a part of an object into a buffer: true when it is there, false when the store sent another
 * version's, which one that honours If-Match does not.
 *
 * <p>Why not a ready-made transformer: the one that hands out a publisher does not hear of a
 * connection that ends in the middle of a body, and those that gather it take what comes.
 *
 * <p>Each try begins anew. Its events come from one event loop, and none of its bytes after its
 * failure, so that a try cannot write into the next one's buffer.
 */
final class PartReceiver implements AsyncResponseTransformer<GetObjectResponse, Boolean> {
  private final PartAnswer part;
  private final Optional<String> ifMatchEtag;
  private final Transfer transfer;
  private final ByteBuffer target;
  private volatile CompletableFuture<Boolean> received = new CompletableFuture<>();
  private volatile Optional<GetObjectResponse> head = Optional.empty();

  /**
   * @param ifMatchEtag without quotes
   * @param target as long as the part; not touched when the transfer is shut
   */
  PartReceiver(
      PartAnswer part, Optional<String> ifMatchEtag, Transfer transfer, ByteBuffer target) {
    this.part = part;
    this.ifMatchEtag = ifMatchEtag;
    this.transfer = transfer;
    this.target = target;
  }

  @Override
  public CompletableFuture<Boolean> prepare() {
    received = new CompletableFuture<>();
    return received;
  }

  @Override
  public void onResponse(GetObjectResponse response) {
    head = Optional.of(response);
  }

  @Override
  public void onStream(SdkPublisher<ByteBuffer> body) {
    GetObjectResponse response = head.orElseThrow();
    boolean same =
        ifMatchEtag.isEmpty() || quoted(ifMatchEtag.get()).equals(String.valueOf(response.eTag()));
    Optional<RuntimeException> wrong =
        same
            ? part.wrong(
                response.sdkHttpResponse().statusCode(),
                response.contentRange(),
                response.contentLength())
            : Optional.empty();
    CompletableFuture<Boolean> mine = received;
    if (!same) {
      mine.complete(false);
    }
    wrong.ifPresent(mine::completeExceptionally);
    transfer.restart(target);
    body.subscribe(new Into(mine));
  }

  private static String quoted(String etag) {
    return "\"" + etag + "\"";
  }

  @Override
  public void exceptionOccurred(Throwable failure) {
    received.completeExceptionally(failure);
  }

  private final class Into implements Subscriber<ByteBuffer> {
    private final CompletableFuture<Boolean> mine;

    Into(CompletableFuture<Boolean> mine) {
      this.mine = mine;
    }

    @Override
    public void onSubscribe(Subscription subscription) {
      if (mine.isDone()) {
        subscription.cancel(); // nobody wants this body
      } else {
        subscription.request(Long.MAX_VALUE);
      }
    }

    @Override
    public void onNext(ByteBuffer arrived) {
      if (mine.isDone()) {
        return;
      }
      try {
        transfer.receive(arrived, target);
      } catch (IllegalStateException tooMuch) {
        mine.completeExceptionally(tooMuch);
      }
    }

    @Override
    public void onError(Throwable failure) {
      mine.completeExceptionally(failure);
    }

    @Override
    public void onComplete() {
      try {
        mine.complete(PartAnswer.filled(target));
      } catch (IllegalStateException tooLittle) {
        mine.completeExceptionally(tooLittle);
      }
    }
  }
}
