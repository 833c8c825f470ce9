package io.forebay.backing.s3;

import io.forebay.backing.http.Causes;
import io.forebay.backing.http.Deadline;
import io.forebay.backing.http.HeaderText;
import io.forebay.backing.http.PartAnswer;
import io.forebay.backing.http.Transfer;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.RequestCounter;
import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.backing.StoreLimits;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.backing.StoreRequests;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.netty.channel.ChannelOption;
import io.netty.util.concurrent.EventExecutor;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscriber;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.client.config.SdkAdvancedAsyncClientOption;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.SdkEventLoopGroup;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.retries.api.RetryStrategy;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3AsyncClientBuilder;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.AbortMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.CompletedMultipartUpload;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.CreateBucketRequest;
import software.amazon.awssdk.services.s3.model.CreateMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.DeleteObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.UploadPartCopyRequest;
import software.amazon.awssdk.services.s3.model.UploadPartRequest;

/**
 * An S3 bucket. Two clients share one pool of connections: reads are tried three times, changes are
 * sent once (F1).
 *
 * <p>When a change can no longer land (F2): the call gives up 40 s after it began, and resets the
 * connection, so that what lies in the socket is not sent either; a request whose body did not
 * arrive in whole is never carried out. S3 cannot be told to give up on its own as Azure can; a
 * request that it has got in whole is taken to be over within the remaining 45 s of {@link
 * ObjectStore#MAX_CHANGE_MILLIS}. The one that may take minutes, CompleteMultipartUpload, ends with
 * its upload: who resolves an attempt aborts that first. A process that was stopped in between is
 * caught by {@link LateGuard}.
 *
 * <p>Bodies are copied into small arrays on their way out, and arrive through a window that is shut
 * when the call returns ({@link Transfer}): no slab is touched afterwards. Each body carries its
 * CRC32C, computed over the caller's own bytes, which S3 checks before it stores anything.
 *
 * <p>Conditions are those of PutObject and CompleteMultipartUpload. A copy is therefore an upload
 * of one part that is copied: CopyObject with a condition is younger, and refused by buckets whose
 * policy enforces conditions.
 *
 * <p>Metadata are x-amz-meta headers, with '-' for the port's '_': servers and proxies drop header
 * names with '_'. An upload takes headers and metadata when it begins, not when it is committed.
 * The tag of a part is its number, ETag and CRC32C with spaces between.
 */
public final class S3Store implements ObjectStore {
  // UploadPartCopy takes 5 GiB, but one call must be over within its deadline.
  private static final long COPY_BYTES = 256L << 20;
  private static final StoreLimits LIMITS = new StoreLimits(10_000, 5 << 20, 5L << 30, COPY_BYTES);
  private static final Duration REQUEST = Duration.ofSeconds(40);
  private static final Duration CONNECT = Duration.ofSeconds(5);
  private static final int CONNECTIONS = 64;
  private static final int READ_TRIES = 3;
  // Servers that close what is idle close it later than this: a change that meets a connection
  // being closed has an unclear outcome.
  private static final Duration IDLE = Duration.ofSeconds(4);

  private final S3Address address;
  private final Duration timeout;
  private final S3Faults faults;
  private final SdkEventLoopGroup loops;
  private final SdkAsyncHttpClient http;
  private final S3AsyncClient reads;
  private final S3AsyncClient changes;
  private final RequestCounter counter = new RequestCounter();
  private volatile boolean bucketKnown;

  /**
   * Opens a bucket; sends nothing yet.
   *
   * @param settings a setting of the environment by name
   * @throws ForebayException CONFIGURATION for a URL or a credential that is malformed
   */
  public static S3Store open(String url, Function<String, Optional<String>> settings) {
    return open(url, settings, REQUEST);
  }

  /**
   * Checks a URL and the settings for it; opens and sends nothing.
   *
   * @throws ForebayException CONFIGURATION naming what is wrong
   */
  public static void check(String url, Function<String, Optional<String>> settings) {
    S3Address.parse(url, settings);
  }

  static S3Store open(String url, Function<String, Optional<String>> settings, Duration timeout) {
    return new S3Store(S3Address.parse(url, settings), timeout);
  }

  private S3Store(S3Address address, Duration timeout) {
    this.address = address;
    this.timeout = timeout;
    this.faults = new S3Faults(address);
    // One of its own: the shared one takes two seconds to close.
    this.loops = SdkEventLoopGroup.builder().build();
    this.http =
        NettyNioAsyncHttpClient.builder()
            .eventLoopGroup(loops)
            .maxConcurrency(CONNECTIONS)
            .connectionMaxIdleTime(IDLE)
            .connectionTimeout(CONNECT)
            .tlsNegotiationTimeout(CONNECT)
            .connectionAcquisitionTimeout(timeout)
            .writeTimeout(timeout)
            .readTimeout(timeout)
            .putChannelOption(ChannelOption.SO_LINGER, 0)
            .build();
    AwsCredentialsProvider credentials = credentials(address.credential());
    this.reads = client(credentials, READ_TRIES);
    this.changes = client(credentials, 1);
  }

  private static AwsCredentialsProvider credentials(S3Address.Credential credential) {
    return switch (credential) {
      case S3Address.Credential.Pair(var id, var secret, var token) ->
          StaticCredentialsProvider.create(
              token.isPresent()
                  ? AwsSessionCredentials.create(id, secret, token.get())
                  : AwsBasicCredentials.create(id, secret));
      case S3Address.Credential.Chain _ -> DefaultCredentialsProvider.builder().build();
    };
  }

  private S3AsyncClient client(AwsCredentialsProvider credentials, int tries) {
    RetryStrategy retries =
        tries > 1
            ? DefaultRetryStrategy.standardStrategyBuilder().maxAttempts(tries).build()
            : DefaultRetryStrategy.doNotRetry();
    S3AsyncClientBuilder builder =
        S3AsyncClient.builder()
            .httpClient(http)
            .credentialsProvider(credentials)
            .region(Region.of(address.region()))
            .forcePathStyle(address.pathStyle())
            .crossRegionAccessEnabled(false)
            .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
            .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
            // It would cost a round trip for each body, and for ever at a server that does not
            // know.
            .serviceConfiguration(S3Configuration.builder().expectContinueEnabled(false).build())
            .asyncConfiguration(options ->
                options.advancedOption(
                    SdkAdvancedAsyncClientOption.FUTURE_COMPLETION_EXECUTOR, this::afterwards))
            .overrideConfiguration(options -> {
              options.retryStrategy(retries).addExecutionInterceptor(new LateGuard());
              if (tries > 1) {
                options.addExecutionInterceptor(new ReadCounter(counter));
              }
            });
    address.endpoint().ifPresent(builder::endpointOverride);
    return builder.build();
  }

  /**
   * Completes an answer once its connection has taken note of the end: what an event loop does now
   * comes before. An answer that says no would otherwise end a request that seems to be under way,
   * whose connection the SDK then closes, when the next call may have it already.
   */
  private void afterwards(Runnable completion) {
    for (EventExecutor loop : loops.eventLoopGroup()) {
      if (loop.inEventLoop()) {
        loop.execute(completion);
        return;
      }
    }
    completion.run();
  }

  /** Counts reads as they are sent, repeated ones too. */
  private record ReadCounter(RequestCounter counter) implements ExecutionInterceptor {
    @Override
    public void beforeTransmission(
        Context.BeforeTransmission context, ExecutionAttributes attributes) {
      counter.count(context.httpRequest().method() == SdkHttpMethod.HEAD ? Kind.HEAD : Kind.READ);
    }
  }

  @Override
  public String description() {
    return address.description();
  }

  @Override
  public StoreLimits limits() {
    return LIMITS;
  }

  private String name(String key) {
    return address.prefix() + key;
  }

  private static AwsRequestOverrideConfiguration until(Deadline deadline) {
    return AwsRequestOverrideConfiguration.builder()
        .putExecutionAttribute(LateGuard.DEADLINE, deadline)
        .build();
  }

  /** Waits for an answer; giving up resets the connection. */
  private static <T extends @Nullable Object> T ask(
      CompletableFuture<T> request, Deadline deadline) {
    try {
      return request.get(deadline.left().toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException late) {
      request.cancel(true);
      throw new CompletionException(late);
    } catch (InterruptedException stop) {
      request.cancel(true);
      Thread.currentThread().interrupt();
      throw new CompletionException(stop);
    } catch (ExecutionException failure) {
      throw failure.getCause() instanceof RuntimeException known
          ? known
          : new CompletionException(failure.getCause());
    }
  }

  private static <T> T present(@Nullable T answer) {
    if (answer == null) {
      throw new IllegalStateException("an answer lacks what it must have");
    }
    return answer;
  }

  /** What is done before each call: refuses what S3 cannot hold, and makes the bucket. */
  private Deadline begin(String operation, String key) {
    KeyNames.wrong(name(key))
        .ifPresent(why -> {
          throw refused(operation, key, why + "; rename the object");
        });
    Deadline deadline = Deadline.in(timeout);
    if (address.create() && !bucketKnown) {
      createBucket(deadline);
      bucketKnown = true;
    }
    return deadline;
  }

  private void createBucket(Deadline deadline) {
    var request =
        CreateBucketRequest.builder()
            .bucket(address.bucket())
            .overrideConfiguration(until(deadline));
    if (!address.region().equals(Region.US_EAST_1.id())) {
      request.createBucketConfiguration(bucket -> bucket.locationConstraint(address.region()));
    }
    try {
      ask(changes.createBucket(request.build()), deadline);
    } catch (RuntimeException failure) {
      switch (S3Faults.code(failure)) {
        case "BucketAlreadyOwnedByYou", "BucketAlreadyExists", "OperationAborted" -> {}
        default -> {
          ForebayException fault = faults.fault("creating the bucket of", "", failure);
          if (fault.code() != ErrorCode.STORE_DENIED) {
            throw fault;
          }
          // Who may not create it may well use it; if it is not there, the call says so.
        }
      }
    }
  }

  /** Before anything was sent. */
  private ForebayException refused(String operation, String key, String why) {
    return new ForebayException(
        ErrorCode.INVALID_ARGUMENT, faults.attempted(operation, key) + " was not sent: " + why);
  }

  private ForebayException fault(String operation, String key, Throwable failure) {
    ForebayException fault = faults.fault(operation, key, failure);
    if (fault.code() == ErrorCode.STORE_MISSING) {
      bucketKnown = false;
    }
    return fault;
  }

  @Override
  public Optional<StoreObject> head(String key) {
    Deadline deadline = begin("looking at", key);
    return look(key, deadline).map(found -> object(key, found));
  }

  private Optional<HeadObjectResponse> look(String key, Deadline deadline) {
    RuntimeException last = new IllegalStateException("it comes and goes");
    for (int tries = 0; tries < READ_TRIES; tries++) {
      try {
        return Optional.of(
            ask(
                reads.headObject(
                    HeadObjectRequest.builder()
                        .bucket(address.bucket())
                        .key(name(key))
                        .overrideConfiguration(until(deadline))
                        .build()),
                deadline));
      } catch (RuntimeException failure) {
        int status = S3Faults.status(failure);
        if (status < 300 || status >= 500 || status == 429) {
          throw fault("looking at", key, failure);
        }
        last = failure;
      }
      if (missing(key, deadline)) {
        return Optional.empty();
      }
    }
    throw fault("looking at", key, last);
  }

  /**
   * Whether it is the object that is missing, and the store that says so. The answer to a HEAD has
   * no body: its 404 may mean the bucket, its 400 anything, and each may be a proxy's.
   *
   * @return false when the object has come meanwhile
   * @throws ForebayException with the store's words for anything else
   */
  private boolean missing(String key, Deadline deadline) {
    try (Transfer transfer = new Transfer()) {
      ask(
          reads.getObject(
              GetObjectRequest.builder()
                  .bucket(address.bucket())
                  .key(name(key))
                  .range("bytes=0-0")
                  .overrideConfiguration(until(deadline))
                  .build(),
              new PartReceiver(
                  new PartAnswer(0, 1), Optional.empty(), transfer, ByteBuffer.allocate(1))),
          deadline);
      return false;
    } catch (RuntimeException failure) {
      return switch (S3Faults.code(failure)) {
        case "NoSuchKey" -> true;
        case "InvalidRange" -> false; // an empty one
        default -> throw fault("looking at", key, failure);
      };
    }
  }

  private static StoreObject object(String key, HeadObjectResponse found) {
    var metadata = new TreeMap<String, String>();
    found
        .metadata()
        .forEach((name, value) ->
            metadata.put(
                name.toLowerCase(Locale.ROOT).replace('-', '_'), HeaderText.decode(value)));
    return new StoreObject(
        key,
        present(found.contentLength()),
        bare(found.eTag()),
        Optional.ofNullable(found.contentType()).orElse(""),
        metadata,
        present(found.lastModified()).toEpochMilli());
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    Slab slab = pool.take();
    try {
      // After the wait for a buffer, which is none of the store's time.
      Deadline deadline = begin("reading", key);
      ByteBuffer target = slab.buffer().limit(length);
      var request =
          GetObjectRequest.builder()
              .bucket(address.bucket())
              .key(name(key))
              .range("bytes=" + offset + "-" + (offset + length - 1))
              .overrideConfiguration(until(deadline));
      ifMatchEtag.ifPresent(etag -> request.ifMatch(quoted(etag)));
      try (Transfer transfer = new Transfer()) {
        boolean same =
            ask(
                reads.getObject(
                    request.build(),
                    new PartReceiver(
                        new PartAnswer(offset, length), ifMatchEtag, transfer, target)),
                deadline);
        if (!same) {
          return new ReadResult.Changed();
        }
      } catch (RuntimeException failure) {
        return switch (S3Faults.code(failure)) {
          case "NoSuchKey" -> new ReadResult.Missing();
          case "PreconditionFailed" -> new ReadResult.Changed();
          default -> throw unread(key, offset, length, failure);
        };
      }
      return new ReadResult.Data(slab.bytes(0, length));
    } finally {
      slab.release();
    }
  }

  private ForebayException unread(String key, long offset, int length, RuntimeException failure) {
    String operation = "reading " + length + " bytes at " + offset + " of";
    // The SDK wraps what a receiver throws.
    return Causes.caused(failure, PartAnswer.ShortObject.class)
        ? new ForebayException(
            ErrorCode.RANGE_NOT_SATISFIABLE,
            faults.attempted(operation, key)
                + " is not possible: the object ends before ("
                + Causes.reason(failure)
                + "); look at it again",
            failure)
        : fault(operation, key, failure);
  }

  /** A body as the SDK reads it. */
  private record Body(List<Bytes> pieces, Transfer transfer) implements AsyncRequestBody {
    @Override
    public Optional<Long> contentLength() {
      return Optional.of(Transfer.length(pieces));
    }

    @Override
    public void subscribe(Subscriber<? super ByteBuffer> subscriber) {
      transfer.body(pieces).subscribe(subscriber);
    }
  }

  /** The CRC32C of a body as S3 writes it: base64 of four bytes, the highest first. */
  private static String crc32c(List<Bytes> body) {
    int crc = 0;
    for (Bytes bytes : body) {
      crc = Crc32cCombiner.combine(crc, bytes.crc32c(), bytes.length());
    }
    return Base64.getEncoder().encodeToString(ByteBuffer.allocate(4).putInt(crc).array());
  }

  /** Sends one change (F1), and tells what its answer means. */
  private PutResult change(String operation, String key, Supplier<String> request) {
    try {
      return new PutResult.Stored(request.get());
    } catch (RuntimeException failure) {
      return switch (S3Faults.code(failure)) {
        // If-Match on an object that is not there is answered with one or the other. The last two:
        // somebody else changes the key right now; nothing was done, and a look decides.
        case "PreconditionFailed", "NoSuchKey", "ConditionalRequestConflict", "OperationAborted" ->
            new PutResult.Refused();
        default -> throw fault(operation, key, failure);
      };
    }
  }

  @Override
  public PutResult put(String key, List<Bytes> body, PutOptions options) {
    requireHeaders("storing", key, options);
    Deadline deadline = begin("storing", key);
    return change("storing", key, () -> putWhole(key, body, options, deadline));
  }

  private String putWhole(String key, List<Bytes> body, PutOptions options, Deadline deadline) {
    Map<String, String> headers = HeaderText.kept(options);
    var request =
        PutObjectRequest.builder()
            .bucket(address.bucket())
            .key(name(key))
            .contentType(headers.get("content-type"))
            .cacheControl(headers.get("cache-control"))
            .contentDisposition(headers.get("content-disposition"))
            .contentEncoding(headers.get("content-encoding"))
            .contentLanguage(headers.get("content-language"))
            .metadata(metadata(options))
            .checksumCRC32C(crc32c(body))
            .overrideConfiguration(until(deadline));
    switch (options.condition()) {
      case StoreCondition.Any _ -> {}
      case StoreCondition.IfAbsent _ -> request.ifNoneMatch("*");
      case StoreCondition.IfMatch(var etag) -> request.ifMatch(quoted(etag));
    }
    counter.count(Kind.PUT);
    try (Transfer transfer = new Transfer()) {
      return bare(
          ask(changes.putObject(request.build(), new Body(body, transfer)), deadline).eTag());
    }
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    String operation = "beginning an upload of";
    requireHeaders(operation, key, options);
    Deadline deadline = begin(operation, key);
    try {
      return create(key, options, Optional.of(ChecksumAlgorithm.CRC32_C), deadline);
    } catch (RuntimeException failure) {
      throw fault(operation, key, failure);
    }
  }

  private String create(
      String key, PutOptions options, Optional<ChecksumAlgorithm> checksum, Deadline deadline) {
    Map<String, String> headers = HeaderText.kept(options);
    var request =
        CreateMultipartUploadRequest.builder()
            .bucket(address.bucket())
            .key(name(key))
            .contentType(headers.get("content-type"))
            .cacheControl(headers.get("cache-control"))
            .contentDisposition(headers.get("content-disposition"))
            .contentEncoding(headers.get("content-encoding"))
            .contentLanguage(headers.get("content-language"))
            .metadata(metadata(options))
            .overrideConfiguration(until(deadline));
    checksum.ifPresent(request::checksumAlgorithm);
    counter.count(Kind.STAGE);
    return present(ask(changes.createMultipartUpload(request.build()), deadline).uploadId());
  }

  @Override
  public String stage(String key, String upload, int part, List<Bytes> body) {
    Deadline deadline = begin("sending a part of", key);
    String crc = crc32c(body);
    counter.count(Kind.STAGE);
    try (Transfer transfer = new Transfer()) {
      String etag =
          bare(
              ask(
                      changes.uploadPart(
                          UploadPartRequest.builder()
                              .bucket(address.bucket())
                              .key(name(key))
                              .uploadId(upload)
                              .partNumber(part)
                              .checksumCRC32C(crc)
                              .overrideConfiguration(until(deadline))
                              .build(),
                          new Body(body, transfer)),
                      deadline)
                  .eTag());
      return part + " " + etag + " " + crc;
    } catch (RuntimeException failure) {
      throw fault("sending part " + part + " of", key, failure);
    }
  }

  private static CompletedPart part(String tag) {
    String[] fields = tag.split(" ", -1);
    if (fields.length != 3 || !fields[0].matches("[0-9]{1,5}")) {
      throw new IllegalArgumentException("'" + tag + "' is no tag of a part in S3");
    }
    return CompletedPart.builder()
        .partNumber(Integer.valueOf(fields[0]))
        .eTag(quoted(fields[1]))
        .checksumCRC32C(fields[2])
        .build();
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    List<CompletedPart> parts = tags.stream().map(S3Store::part).toList();
    Deadline deadline = begin("committing", key);
    return change(
        "committing", key, () -> complete(key, upload, parts, options.condition(), deadline));
  }

  private String complete(
      String key,
      String upload,
      List<CompletedPart> parts,
      StoreCondition condition,
      Deadline deadline) {
    var request =
        CompleteMultipartUploadRequest.builder()
            .bucket(address.bucket())
            .key(name(key))
            .uploadId(upload)
            .multipartUpload(CompletedMultipartUpload.builder().parts(parts).build())
            .overrideConfiguration(until(deadline));
    switch (condition) {
      case StoreCondition.Any _ -> {}
      case StoreCondition.IfAbsent _ -> request.ifNoneMatch("*");
      case StoreCondition.IfMatch(var etag) -> request.ifMatch(quoted(etag));
    }
    counter.count(Kind.COMMIT);
    return bare(ask(changes.completeMultipartUpload(request.build()), deadline).eTag());
  }

  @Override
  public void abort(String key, String upload) {
    Deadline deadline = begin("dropping an upload of", key);
    try {
      drop(key, upload, deadline);
    } catch (RuntimeException failure) {
      throw fault("dropping an upload of", key, failure);
    }
  }

  private void drop(String key, String upload, Deadline deadline) {
    counter.count(Kind.STAGE);
    try {
      ask(
          changes.abortMultipartUpload(
              AbortMultipartUploadRequest.builder()
                  .bucket(address.bucket())
                  .key(name(key))
                  .uploadId(upload)
                  .overrideConfiguration(until(deadline))
                  .build()),
          deadline);
    } catch (RuntimeException failure) {
      if (!S3Faults.code(failure).equals("NoSuchUpload")) {
        throw failure;
      }
      // It was dropped before, or has become the object.
    }
  }

  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    String operation = "copying '" + sourceKey + "' to";
    requireHeaders(operation, key, options);
    Deadline deadline = begin(operation, key);
    Optional<HeadObjectResponse> source = look(sourceKey, deadline);
    if (source.isEmpty() || !bare(source.get().eTag()).equals(sourceEtag)) {
      return new PutResult.Refused();
    }
    long length = present(source.get().contentLength());
    if (length > COPY_BYTES) {
      throw refused(
          operation, key, "at most " + COPY_BYTES + " bytes are copied at once; upload it again");
    }
    return change(
        operation,
        key,
        () ->
            length == 0
                ? putWhole(key, List.of(), options, deadline)
                : copyAsPart(sourceKey, sourceEtag, key, options, deadline));
  }

  private String copyAsPart(
      String sourceKey, String sourceEtag, String key, PutOptions options, Deadline deadline) {
    String upload = create(key, options, Optional.empty(), deadline);
    try {
      counter.count(Kind.COPY);
      String etag =
          present(
                  ask(
                          changes.uploadPartCopy(
                              UploadPartCopyRequest.builder()
                                  .sourceBucket(address.bucket())
                                  .sourceKey(name(sourceKey))
                                  .copySourceIfMatch(quoted(sourceEtag))
                                  .destinationBucket(address.bucket())
                                  .destinationKey(name(key))
                                  .uploadId(upload)
                                  .partNumber(1)
                                  .overrideConfiguration(until(deadline))
                                  .build()),
                          deadline)
                      .copyPartResult())
              .eTag();
      CompletedPart part = CompletedPart.builder().partNumber(1).eTag(quoted(bare(etag))).build();
      return complete(key, upload, List.of(part), options.condition(), deadline);
    } catch (RuntimeException failure) {
      // Nobody else knows this upload. Its end is also that of a commit without an answer.
      try {
        drop(key, upload, Deadline.in(timeout));
      } catch (RuntimeException left) {
        failure.addSuppressed(left);
      }
      throw failure;
    }
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    Deadline deadline = begin("deleting", key);
    var request =
        DeleteObjectRequest.builder()
            .bucket(address.bucket())
            .key(name(key))
            .overrideConfiguration(until(deadline));
    switch (condition) {
      case StoreCondition.Any _ -> request.ifMatch("*");
      case StoreCondition.IfAbsent _ -> {
        return look(key, deadline).isPresent()
            ? new DeleteResult.Refused()
            : new DeleteResult.Missing();
      }
      case StoreCondition.IfMatch(var etag) -> {
        // First a look: some stores take the condition of a deletion, and ignore it.
        Optional<HeadObjectResponse> found = look(key, deadline);
        if (found.isEmpty()) {
          return new DeleteResult.Missing();
        }
        if (!bare(found.get().eTag()).equals(etag)) {
          return new DeleteResult.Refused();
        }
        request.ifMatch(quoted(etag));
      }
    }
    counter.count(Kind.DELETE);
    try {
      ask(changes.deleteObject(request.build()), deadline);
      return new DeleteResult.Deleted();
    } catch (RuntimeException failure) {
      boolean any = condition instanceof StoreCondition.Any;
      return switch (S3Faults.code(failure)) {
        case "NoSuchKey" -> new DeleteResult.Missing();
        case "PreconditionFailed" -> any ? new DeleteResult.Missing() : new DeleteResult.Refused();
        case "ConditionalRequestConflict", "OperationAborted" -> new DeleteResult.Refused();
        default -> throw fault("deleting", key, failure);
      };
    }
  }

  private void requireHeaders(String operation, String key, PutOptions options) {
    HeaderText.wrong(options)
        .ifPresent(why -> {
          throw refused(operation, key, why);
        });
  }

  private static Map<String, String> metadata(PutOptions options) {
    var metadata = new TreeMap<String, String>();
    options
        .metadata()
        .forEach((name, value) -> metadata.put(name.replace('_', '-'), HeaderText.encode(value)));
    return metadata;
  }

  private static String bare(@Nullable String etag) {
    return present(etag).replace("\"", "");
  }

  private static String quoted(String etag) {
    return "\"" + etag + "\"";
  }

  @Override
  public StoreRequests requests() {
    return counter.requests();
  }

  @Override
  public void close() {
    reads.close();
    changes.close();
    http.close();
    loops.eventLoopGroup().shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
  }
}
