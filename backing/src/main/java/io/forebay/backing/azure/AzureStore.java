package io.forebay.backing.azure;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.HttpAuthorization;
import com.azure.core.http.HttpHeaderName;
import com.azure.core.http.HttpMethod;
import com.azure.core.http.HttpPipelineCallContext;
import com.azure.core.http.HttpPipelineNextPolicy;
import com.azure.core.http.HttpPipelinePosition;
import com.azure.core.http.HttpResponse;
import com.azure.core.http.netty.NettyAsyncHttpClientBuilder;
import com.azure.core.http.policy.HttpPipelinePolicy;
import com.azure.core.util.UrlBuilder;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.storage.blob.BlobContainerAsyncClient;
import com.azure.storage.blob.BlobContainerClientBuilder;
import com.azure.storage.blob.models.BlobDownloadAsyncResponse;
import com.azure.storage.blob.models.BlobDownloadHeaders;
import com.azure.storage.blob.models.BlobHttpHeaders;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.BlobRange;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.DownloadRetryOptions;
import com.azure.storage.blob.options.BlobCopyFromUrlOptions;
import com.azure.storage.blob.options.BlockBlobCommitBlockListOptions;
import com.azure.storage.blob.options.BlockBlobSimpleUploadOptions;
import com.azure.storage.blob.options.BlockBlobStageBlockFromUrlOptions;
import com.azure.storage.blob.sas.BlobSasPermission;
import com.azure.storage.blob.sas.BlobServiceSasSignatureValues;
import com.azure.storage.blob.specialized.BlockBlobAsyncClient;
import com.azure.storage.common.StorageSharedKeyCredential;
import com.azure.storage.common.policy.RequestRetryOptions;
import com.azure.storage.common.policy.RetryPolicyType;
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
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.netty.channel.ChannelOption;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/**
 * An Azure Blob container. Two clients share one pool of connections: reads are tried three times,
 * changes are sent once (F1), by the SDK and by the HTTP client below it.
 *
 * <p>When a change can no longer land (F2): the call gives up 40 s after it began, and resets the
 * connection, so that what lies in the socket is not sent either. The server has been told to give
 * up on its own 40 s after it got the request. Hence 80 s from the beginning of the call, below
 * {@link ObjectStore#MAX_CHANGE_MILLIS}. A process that was stopped in between is caught by {@link
 * LateGuard}.
 *
 * <p>Bodies are copied into small arrays on their way out, and arrive through a window that is shut
 * when the call returns ({@link Transfer}): no slab is touched afterwards.
 *
 * <p>Staged blocks are one pool per blob name (F10): a block's id is the base64 of the stamp,
 * filled up with '.' to 40 characters, '-' and six digits of the part's number.
 */
public final class AzureStore implements ObjectStore {
  // Copy Blob From URL takes 256 MiB.
  private static final long COPY_BYTES = 256L << 20;
  private static final StoreLimits LIMITS = new StoreLimits(50_000, 1, 4000L << 20, COPY_BYTES);
  private static final Duration REQUEST = Duration.ofSeconds(40);
  private static final int CONNECTIONS = 64;
  private static final int STAMP_LENGTH = 40;
  // Servers that close what is idle close it later than this, Azurite after 5 s: a change that
  // meets a connection being closed has an unclear outcome.
  private static final Duration IDLE = Duration.ofSeconds(4);
  private static final TokenRequestContext STORAGE =
      new TokenRequestContext().addScopes("https://storage.azure.com/.default");

  private final AzureAddress address;
  private final Duration timeout;
  private final AzureFaults faults;
  private final ConnectionProvider connections;
  private final BlobContainerAsyncClient reads;
  private final BlobContainerAsyncClient changes;
  private final Optional<TokenCredential> identity;
  private final RequestCounter counter = new RequestCounter();
  private volatile boolean containerKnown;

  /**
   * Opens a container; sends nothing yet.
   *
   * @param settings a setting of the environment by name
   * @throws ForebayException CONFIGURATION for a URL or a credential that is malformed
   */
  public static AzureStore open(String url, Function<String, Optional<String>> settings) {
    return open(url, settings, REQUEST);
  }

  /**
   * Checks a URL and the settings for it; opens and sends nothing.
   *
   * @throws ForebayException CONFIGURATION naming what is wrong
   */
  public static void check(String url, Function<String, Optional<String>> settings) {
    AzureAddress.parse(url, settings);
  }

  static AzureStore open(
      String url, Function<String, Optional<String>> settings, Duration timeout) {
    AzureAddress address = AzureAddress.parse(url, settings);
    try {
      return new AzureStore(address, timeout);
    } catch (IllegalArgumentException malformed) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the store "
              + address.description()
              + " cannot be opened: its credential or endpoint is malformed",
          malformed);
    }
  }

  private AzureStore(AzureAddress address, Duration timeout) {
    this.address = address;
    this.timeout = timeout;
    this.faults = new AzureFaults(address);
    this.identity =
        address.credential() instanceof AzureAddress.Credential.Identity
            ? Optional.of(new DefaultAzureCredentialBuilder().build())
            : Optional.empty();
    this.connections =
        ConnectionProvider.builder("forebay-azure")
            .maxConnections(CONNECTIONS)
            .maxIdleTime(IDLE)
            .pendingAcquireTimeout(timeout)
            .build();
    // Below the SDK the HTTP client repeats a request whose connection broke: off.
    com.azure.core.http.HttpClient http =
        new LateGuard(
            new NettyAsyncHttpClientBuilder(
                    HttpClient.create(connections)
                        .disableRetry(true)
                        .option(ChannelOption.SO_LINGER, 0))
                .connectTimeout(Duration.ofSeconds(5))
                .writeTimeout(timeout)
                .responseTimeout(timeout)
                .readTimeout(timeout)
                .build());
    this.reads = client(http, 3);
    this.changes = client(http, 1);
  }

  private BlobContainerAsyncClient client(com.azure.core.http.HttpClient http, int tries) {
    BlobContainerClientBuilder builder =
        new BlobContainerClientBuilder()
            .endpoint(address.endpoint())
            .containerName(address.container())
            .httpClient(http)
            .addPolicy(new Limits(timeout))
            .retryOptions(
                new RequestRetryOptions(
                    RetryPolicyType.EXPONENTIAL,
                    tries,
                    timeout,
                    Duration.ofMillis(200),
                    Duration.ofSeconds(2),
                    null));
    if (tries > 1) {
      builder.addPolicy(new ReadCounter(counter));
    }
    switch (address.credential()) {
      case AzureAddress.Credential.Key(var key) ->
          builder.credential(new StorageSharedKeyCredential(address.account(), key));
      case AzureAddress.Credential.Sas(var token) -> builder.sasToken(token);
      case AzureAddress.Credential.Identity _ -> builder.credential(identity.orElseThrow());
    }
    return builder.buildAsyncClient();
  }

  /**
   * Asks the server to give up as well, and notes until when the request may be sent. It stands
   * before the signature is made, for that covers the URL.
   */
  private record Limits(Duration timeout) implements HttpPipelinePolicy {
    @Override
    public Mono<HttpResponse> process(
        HttpPipelineCallContext context, HttpPipelineNextPolicy next) {
      UrlBuilder url = UrlBuilder.parse(context.getHttpRequest().getUrl());
      url.setQueryParameter("timeout", Long.toString(Math.max(1, timeout.toSeconds())));
      context.getHttpRequest().setUrl(url.toString());
      context.setData(LateGuard.DEADLINE, Deadline.in(timeout));
      return next.process();
    }

    @Override
    public HttpPipelinePosition getPipelinePosition() {
      return HttpPipelinePosition.PER_CALL;
    }
  }

  /** Counts reads as they are sent, repeated ones too. */
  private record ReadCounter(RequestCounter counter) implements HttpPipelinePolicy {
    @Override
    public Mono<HttpResponse> process(
        HttpPipelineCallContext context, HttpPipelineNextPolicy next) {
      counter.count(
          context.getHttpRequest().getHttpMethod() == HttpMethod.HEAD ? Kind.HEAD : Kind.READ);
      return next.process();
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

  private BlockBlobAsyncClient blob(BlobContainerAsyncClient container, String key) {
    return container.getBlobAsyncClient(address.prefix() + key).getBlockBlobAsyncClient();
  }

  /** Sends a request, and waits for its answer; null for an answer without a value. */
  private static <T> @Nullable T ask(Mono<T> request, Deadline deadline) {
    return request.timeout(deadline.left()).block();
  }

  private static <T> T present(@Nullable T answer) {
    if (answer == null) {
      throw new IllegalStateException("an answer lacks what it must have");
    }
    return answer;
  }

  /** What is done before each call: refuses what Azure cannot hold, and makes the container. */
  private Deadline begin(String operation, String key) {
    BlobNames.wrong(address.prefix() + key)
        .ifPresent(why -> {
          throw refused(operation, key, why + "; rename the object");
        });
    Deadline deadline = Deadline.in(timeout);
    if (address.create() && !containerKnown) {
      try {
        ask(changes.createIfNotExistsWithResponse(null), deadline);
      } catch (RuntimeException failure) {
        ForebayException fault = faults.fault("creating the container of", "", failure);
        if (fault.code() != ErrorCode.STORE_DENIED) {
          throw fault;
        }
        // Who may not create it may well use it; if it is not there, the call says so.
      }
      containerKnown = true;
    }
    return deadline;
  }

  /** Before anything was sent. */
  private ForebayException refused(String operation, String key, String why) {
    return new ForebayException(
        ErrorCode.INVALID_ARGUMENT, faults.attempted(operation, key) + " was not sent: " + why);
  }

  private ForebayException fault(String operation, String key, Throwable failure) {
    ForebayException fault = faults.fault(operation, key, failure);
    if (fault.code() == ErrorCode.STORE_MISSING) {
      containerKnown = false;
    }
    return fault;
  }

  @Override
  public Optional<StoreObject> head(String key) {
    Deadline deadline = begin("looking at", key);
    try {
      return Optional.of(object(key, properties(key, deadline)));
    } catch (RuntimeException failure) {
      if (AzureFaults.code(failure).equals("BlobNotFound")) {
        return Optional.empty();
      }
      throw fault("looking at", key, failure);
    }
  }

  private BlobProperties properties(String key, Deadline deadline) {
    return present(ask(blob(reads, key).getProperties(), deadline));
  }

  private static StoreObject object(String key, BlobProperties found) {
    var metadata = new TreeMap<String, String>();
    found
        .getMetadata()
        .forEach(
            (name, value) -> metadata.put(name.toLowerCase(Locale.ROOT), HeaderText.decode(value)));
    return new StoreObject(
        key,
        found.getBlobSize(),
        bare(found.getETag()),
        Optional.ofNullable(found.getContentType()).orElse(""),
        metadata,
        found.getLastModified().toInstant().toEpochMilli());
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    var conditions = new BlobRequestConditions();
    ifMatchEtag.ifPresent(etag -> conditions.setIfMatch(quoted(etag)));
    Slab slab = pool.take();
    try {
      // After the wait for a buffer, which is none of the store's time.
      Deadline deadline = begin("reading", key);
      ByteBuffer target = slab.buffer().limit(length);
      try (Transfer transfer = new Transfer()) {
        boolean same =
            present(
                ask(
                    blob(reads, key)
                        .downloadStreamWithResponse(
                            new BlobRange(offset, (long) length),
                            new DownloadRetryOptions().setMaxRetryRequests(0),
                            conditions,
                            false)
                        .flatMap(response ->
                            receive(
                                response,
                                new PartAnswer(offset, length),
                                ifMatchEtag,
                                transfer,
                                target)),
                    deadline));
        if (!same) {
          return new ReadResult.Changed();
        }
      } catch (RuntimeException failure) {
        return switch (AzureFaults.code(failure)) {
          case "BlobNotFound" -> new ReadResult.Missing();
          case "ConditionNotMet" -> new ReadResult.Changed();
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
    return failure instanceof PartAnswer.ShortObject
        ? new ForebayException(
            ErrorCode.RANGE_NOT_SATISFIABLE,
            faults.attempted(operation, key)
                + " is not possible: "
                + failure.getMessage()
                + "; look at the object again",
            failure)
        : fault(operation, key, failure);
  }

  /**
   * Takes a body in, when it is the part that was asked for; false when it is another version's,
   * which a store that honours If-Match does not send.
   */
  private static Mono<Boolean> receive(
      BlobDownloadAsyncResponse response,
      PartAnswer part,
      Optional<String> ifMatchEtag,
      Transfer transfer,
      ByteBuffer target) {
    BlobDownloadHeaders headers = response.getDeserializedHeaders();
    if (ifMatchEtag.isPresent() && !ifMatchEtag.get().equals(bare(headers.getETag()))) {
      return dropped(response).thenReturn(false);
    }
    Optional<RuntimeException> wrong =
        part.wrong(response.getStatusCode(), headers.getContentRange(), headers.getContentLength());
    if (wrong.isPresent()) {
      return dropped(response).then(Mono.error(wrong.get()));
    }
    return response
        .getValue()
        .doOnNext(arrived -> transfer.receive(arrived, target))
        .then(Mono.fromCallable(() -> PartAnswer.filled(target)));
  }

  /** Ends a response whose body nobody wants. */
  private static Mono<Void> dropped(BlobDownloadAsyncResponse response) {
    return Mono.fromRunnable(() -> {
      try {
        response.close();
      } catch (IOException failure) {
        throw new UncheckedIOException(failure);
      }
    });
  }

  /** Sends one change (F1), and tells what its answer means. */
  private PutResult change(String operation, String key, Supplier<String> request) {
    try {
      return new PutResult.Stored(request.get());
    } catch (RuntimeException failure) {
      return switch (AzureFaults.code(failure)) {
        // If-Match on a blob that is not there is answered with one or the other.
        case "ConditionNotMet",
            "TargetConditionNotMet",
            "SourceConditionNotMet",
            "BlobAlreadyExists",
            "BlobNotFound" ->
            new PutResult.Refused();
        default -> throw fault(operation, key, failure);
      };
    }
  }

  @Override
  public PutResult put(String key, List<Bytes> body, PutOptions options) {
    requireHeaders("storing", key, options);
    Deadline deadline = begin("storing", key);
    return change(
        "storing",
        key,
        () ->
            orAsBlock(
                key,
                options,
                deadline,
                () -> putWhole(key, body, options, deadline),
                () -> putAsBlock(key, body, options, deadline)));
  }

  /**
   * Sends a whole object; where that is refused although nothing is there, the same as one block.
   * Azurite takes a name under which a cut-off upload has left blocks for taken, but for a commit.
   * A refusal is an answer, so nothing is sent twice (F1).
   */
  private String orAsBlock(
      String key,
      PutOptions options,
      Deadline deadline,
      Supplier<String> whole,
      Supplier<String> asBlock) {
    try {
      return whole.get();
    } catch (RuntimeException failure) {
      if (options.condition() instanceof StoreCondition.IfAbsent
          && AzureFaults.code(failure).equals("BlobAlreadyExists")
          && !exists(key, deadline)) {
        return asBlock.get();
      }
      throw failure;
    }
  }

  private boolean exists(String key, Deadline deadline) {
    try {
      properties(key, deadline);
      return true;
    } catch (RuntimeException failure) {
      if (AzureFaults.code(failure).equals("BlobNotFound")) {
        return false;
      }
      throw failure;
    }
  }

  private String putAsBlock(String key, List<Bytes> body, PutOptions options, Deadline deadline) {
    if (Transfer.length(body) == 0) { // a block has at least one byte
      return commitBlocks(key, List.of(), options, deadline);
    }
    String id = blockOfItsOwn();
    stageBlock(key, id, body, deadline);
    return commitBlocks(key, List.of(id), options, deadline);
  }

  /** Never used again, so that no other attempt's block can be taken for it (F10). */
  private static String blockOfItsOwn() {
    return blockId(UUID.randomUUID().toString(), 1);
  }

  private String putWhole(String key, List<Bytes> body, PutOptions options, Deadline deadline) {
    counter.count(Kind.PUT);
    try (Transfer transfer = new Transfer()) {
      return bare(
          present(
                  ask(
                      blob(changes, key)
                          .uploadWithResponse(
                              new BlockBlobSimpleUploadOptions(
                                      transfer.body(body), Transfer.length(body))
                                  .setHeaders(headers(options))
                                  .setMetadata(metadata(options))
                                  .setRequestConditions(conditions(options.condition()))),
                      deadline))
              .getValue()
              .getETag());
    }
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    if (!stamp.matches("[a-z0-9-]{1," + STAMP_LENGTH + "}")) {
      throw new IllegalArgumentException("'" + stamp + "' cannot be a part of block ids");
    }
    requireHeaders("beginning an upload of", key, options);
    return stamp;
  }

  static String blockId(String stamp, int part) {
    String id = stamp + ".".repeat(STAMP_LENGTH - stamp.length()) + "-%06d".formatted(part);
    return Base64.getEncoder().encodeToString(id.getBytes(StandardCharsets.US_ASCII));
  }

  @Override
  public String stage(String key, String upload, int part, List<Bytes> body) {
    Deadline deadline = begin("sending a part of", key);
    String id = blockId(upload, part);
    try {
      stageBlock(key, id, body, deadline);
      return id;
    } catch (RuntimeException failure) {
      throw fault("sending part " + part + " of", key, failure);
    }
  }

  private void stageBlock(String key, String id, List<Bytes> body, Deadline deadline) {
    counter.count(Kind.STAGE);
    try (Transfer transfer = new Transfer()) {
      ask(
          blob(changes, key)
              .stageBlockWithResponse(id, transfer.body(body), Transfer.length(body), null, null),
          deadline);
    }
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    requireHeaders("committing", key, options);
    Deadline deadline = begin("committing", key);
    return change("committing", key, () -> commitBlocks(key, tags, options, deadline));
  }

  private String commitBlocks(String key, List<String> ids, PutOptions options, Deadline deadline) {
    counter.count(Kind.COMMIT);
    return bare(
        present(
                ask(
                    blob(changes, key)
                        .commitBlockListWithResponse(
                            new BlockBlobCommitBlockListOptions(ids)
                                .setHeaders(headers(options))
                                .setMetadata(metadata(options))
                                .setRequestConditions(conditions(options.condition()))),
                    deadline))
            .getValue()
            .getETag());
  }

  /** Nothing to do: the next commit drops what is staged under the name, and else a week does. */
  @Override
  public void abort(String key, String upload) {}

  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    String operation = "copying '" + sourceKey + "' to";
    requireHeaders(operation, key, options);
    Deadline deadline = begin(operation, key);
    BlobProperties source;
    try {
      source = properties(sourceKey, deadline);
    } catch (RuntimeException failure) {
      if (AzureFaults.code(failure).equals("BlobNotFound")) {
        return new PutResult.Refused();
      }
      throw fault("looking at the source of a copy,", sourceKey, failure);
    }
    if (!bare(source.getETag()).equals(sourceEtag)) {
      return new PutResult.Refused();
    }
    if (source.getBlobSize() > COPY_BYTES) {
      throw refused(
          operation, key, "Azure copies at most " + COPY_BYTES + " bytes at once; upload it again");
    }
    try {
      return change(
          operation,
          key,
          () -> {
            Supplier<String> asBlock =
                () ->
                    copyAsBlock(
                        sourceKey, sourceEtag, source.getBlobSize(), key, options, deadline);
            // A copy takes the source's headers; a block does not.
            return headersOf(source).equals(HeaderText.kept(options))
                ? orAsBlock(
                    key,
                    options,
                    deadline,
                    () -> copyWhole(sourceKey, sourceEtag, key, options, deadline),
                    asBlock)
                : asBlock.get();
          });
    } catch (ForebayException failure) {
      if (failure.getCause() instanceof HttpResponseException cause
          && AzureFaults.code(cause).equals("CannotVerifyCopySource")
          && cause.getResponse().getStatusCode() == 404) {
        // The source went between the look and the copy.
        return new PutResult.Refused();
      }
      throw failure;
    }
  }

  private String copyWhole(
      String sourceKey, String sourceEtag, String key, PutOptions options, Deadline deadline) {
    counter.count(Kind.COPY);
    var copy =
        new BlobCopyFromUrlOptions(sourceUrl(sourceKey))
            .setMetadata(metadata(options))
            .setSourceRequestConditions(new BlobRequestConditions().setIfMatch(quoted(sourceEtag)))
            .setDestinationRequestConditions(conditions(options.condition()));
    authorization(deadline).ifPresent(copy::setSourceAuthorization);
    return bare(
        present(ask(blob(changes, key).copyFromUrlWithResponse(copy), deadline))
            .getHeaders()
            .getValue(HttpHeaderName.ETAG));
  }

  private String copyAsBlock(
      String sourceKey,
      String sourceEtag,
      long lengthBytes,
      String key,
      PutOptions options,
      Deadline deadline) {
    if (lengthBytes == 0) { // a block has at least one byte
      return commitBlocks(key, List.of(), options, deadline);
    }
    counter.count(Kind.COPY);
    String id = blockOfItsOwn();
    var block =
        new BlockBlobStageBlockFromUrlOptions(id, sourceUrl(sourceKey))
            .setSourceRequestConditions(new BlobRequestConditions().setIfMatch(quoted(sourceEtag)));
    authorization(deadline).ifPresent(block::setSourceAuthorization);
    ask(blob(changes, key).stageBlockFromUrlWithResponse(block), deadline);
    return commitBlocks(key, List.of(id), options, deadline);
  }

  /** The source's URL with what allows reading it, for some minutes. */
  private String sourceUrl(String key) {
    BlockBlobAsyncClient source = blob(changes, key);
    return switch (address.credential()) {
      case AzureAddress.Credential.Key _ ->
          source.getBlobUrl()
              + "?"
              + source.generateSas(
                  new BlobServiceSasSignatureValues(
                      OffsetDateTime.now(ZoneOffset.UTC).plusMinutes(15),
                      new BlobSasPermission().setReadPermission(true)));
      case AzureAddress.Credential.Sas(var token) -> source.getBlobUrl() + "?" + token;
      case AzureAddress.Credential.Identity _ -> source.getBlobUrl();
    };
  }

  private Optional<HttpAuthorization> authorization(Deadline deadline) {
    return identity.map(credential ->
        new HttpAuthorization(
            "Bearer", present(ask(credential.getToken(STORAGE), deadline)).getToken()));
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    Deadline deadline = begin("deleting", key);
    counter.count(Kind.DELETE);
    try {
      ask(blob(changes, key).deleteWithResponse(null, conditions(condition)), deadline);
      return new DeleteResult.Deleted();
    } catch (RuntimeException failure) {
      return switch (AzureFaults.code(failure)) {
        case "BlobNotFound" -> new DeleteResult.Missing();
        case "ConditionNotMet" -> new DeleteResult.Refused();
        default -> throw fault("deleting", key, failure);
      };
    }
  }

  private static BlobRequestConditions conditions(StoreCondition condition) {
    return switch (condition) {
      case StoreCondition.Any _ -> new BlobRequestConditions();
      case StoreCondition.IfAbsent _ -> new BlobRequestConditions().setIfNoneMatch("*");
      case StoreCondition.IfMatch(var etag) -> new BlobRequestConditions().setIfMatch(quoted(etag));
    };
  }

  private void requireHeaders(String operation, String key, PutOptions options) {
    HeaderText.wrong(options)
        .ifPresent(why -> {
          throw refused(operation, key, why);
        });
  }

  private static Map<String, String> headersOf(BlobProperties found) {
    var kept = new TreeMap<String, String>();
    put(kept, "content-type", found.getContentType());
    put(kept, "cache-control", found.getCacheControl());
    put(kept, "content-disposition", found.getContentDisposition());
    put(kept, "content-encoding", found.getContentEncoding());
    put(kept, "content-language", found.getContentLanguage());
    return kept;
  }

  private static void put(Map<String, String> into, String name, @Nullable String value) {
    if (value != null && !value.isEmpty()) {
      into.put(name, value);
    }
  }

  private static BlobHttpHeaders headers(PutOptions options) {
    Map<String, String> kept = HeaderText.kept(options);
    return new BlobHttpHeaders()
        .setContentType(kept.get("content-type"))
        .setCacheControl(kept.get("cache-control"))
        .setContentDisposition(kept.get("content-disposition"))
        .setContentEncoding(kept.get("content-encoding"))
        .setContentLanguage(kept.get("content-language"));
  }

  private static Map<String, String> metadata(PutOptions options) {
    var metadata = new TreeMap<String, String>();
    options.metadata().forEach((name, value) -> metadata.put(name, HeaderText.encode(value)));
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
    connections.dispose();
  }
}
