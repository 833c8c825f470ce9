package io.forebay.backing.azure;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.HttpAuthorization;
import com.azure.core.http.HttpMethod;
import com.azure.core.http.netty.NettyAsyncHttpClientBuilder;
import com.azure.core.http.policy.HttpPipelinePolicy;
import com.azure.core.util.UrlBuilder;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.storage.blob.BlobContainerAsyncClient;
import com.azure.storage.blob.BlobContainerClientBuilder;
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
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/**
 * An Azure Blob container. Two clients share one pool of connections: reads are tried three times,
 * changes are sent once (F1), by the SDK and by the HTTP client below it, and with a server-side
 * time-out, so that what was sent cannot land for ever (F2).
 *
 * <p>Staged blocks are one pool per blob name (F10): a block's id is the base64 of the stamp,
 * filled up with '.' to 40 characters, '-' and six digits of the part's number.
 */
public final class AzureStore implements ObjectStore {
  private static final StoreLimits LIMITS = new StoreLimits(50_000, 1, 4000L << 20);
  // The flusher takes a request for landed or lost after 90 s.
  private static final Duration REQUEST = Duration.ofSeconds(50);
  private static final int CONNECTIONS = 64;
  private static final int STAMP_LENGTH = 40;
  // The most that Copy Blob From URL and Put Block From URL take is 256 MiB and more.
  private static final long COPY_BYTES = 256L << 20;
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
            .maxIdleTime(Duration.ofSeconds(30))
            .pendingAcquireTimeout(timeout)
            .build();
    // Below the SDK the HTTP client repeats a request whose connection broke: off.
    com.azure.core.http.HttpClient http =
        new NettyAsyncHttpClientBuilder(HttpClient.create(connections).disableRetry(true))
            .connectTimeout(Duration.ofSeconds(5))
            .writeTimeout(timeout)
            .responseTimeout(timeout)
            .readTimeout(timeout)
            .build();
    this.reads = client(http, 3);
    this.changes = client(http, 1);
  }

  private BlobContainerAsyncClient client(com.azure.core.http.HttpClient http, int tries) {
    long seconds = Math.max(1, timeout.toSeconds());
    // Before the signature is made, for it covers the URL.
    HttpPipelinePolicy serverTimeout = new ServerTimeout(seconds);
    BlobContainerClientBuilder builder =
        new BlobContainerClientBuilder()
            .endpoint(address.endpoint())
            .containerName(address.container())
            .httpClient(http)
            .addPolicy(serverTimeout)
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

  /** Asks the server to give up as well. */
  private record ServerTimeout(long seconds) implements HttpPipelinePolicy {
    @Override
    public Mono<com.azure.core.http.HttpResponse> process(
        com.azure.core.http.HttpPipelineCallContext context,
        com.azure.core.http.HttpPipelineNextPolicy next) {
      UrlBuilder url = UrlBuilder.parse(context.getHttpRequest().getUrl());
      url.setQueryParameter("timeout", Long.toString(seconds));
      context.getHttpRequest().setUrl(url.toString());
      return next.process();
    }

    @Override
    public com.azure.core.http.HttpPipelinePosition getPipelinePosition() {
      return com.azure.core.http.HttpPipelinePosition.PER_CALL;
    }
  }

  /** Counts reads as they are sent, repeated ones too. */
  private record ReadCounter(RequestCounter counter) implements HttpPipelinePolicy {
    @Override
    public Mono<com.azure.core.http.HttpResponse> process(
        com.azure.core.http.HttpPipelineCallContext context,
        com.azure.core.http.HttpPipelineNextPolicy next) {
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
  private <T> @Nullable T ask(Mono<T> request) {
    return request.timeout(timeout).block();
  }

  private void ensureContainer() {
    if (!address.create() || containerKnown) {
      return;
    }
    try {
      ask(changes.createIfNotExistsWithResponse(null));
      containerKnown = true;
    } catch (RuntimeException failure) {
      throw faults.fault("creating the container of", "", failure);
    }
  }

  @Override
  public Optional<StoreObject> head(String key) {
    ensureContainer();
    try {
      BlobProperties found = ask(blob(reads, key).getProperties());
      if (found == null) {
        throw new IllegalStateException("an answer without properties");
      }
      var metadata = new TreeMap<String, String>();
      found
          .getMetadata()
          .forEach((name, value) ->
              metadata.put(name.toLowerCase(Locale.ROOT), MetadataText.decode(value)));
      return Optional.of(
          new StoreObject(
              key,
              found.getBlobSize(),
              bare(found.getETag()),
              Optional.ofNullable(found.getContentType()).orElse(""),
              metadata,
              found.getLastModified().toInstant().toEpochMilli()));
    } catch (RuntimeException failure) {
      if (AzureFaults.code(failure).equals("BlobNotFound")) {
        return Optional.empty();
      }
      throw faults.fault("looking at", key, failure);
    }
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    ensureContainer();
    var conditions = new BlobRequestConditions();
    ifMatchEtag.ifPresent(etag -> conditions.setIfMatch(quoted(etag)));
    Slab slab = pool.take();
    try {
      ByteBuffer target = slab.buffer().limit(length);
      try (Transfer transfer = new Transfer()) {
        ask(
            blob(reads, key)
                .downloadStreamWithResponse(
                    new BlobRange(offset, (long) length),
                    new DownloadRetryOptions().setMaxRetryRequests(0),
                    conditions,
                    false)
                .flatMap(response ->
                    response
                        .getValue()
                        .doOnNext(arrived -> transfer.receive(arrived, target))
                        .then()));
      }
      if (target.hasRemaining()) {
        throw new ForebayException(
            ErrorCode.STORE_UNREACHABLE,
            "reading '"
                + key
                + "' in the store "
                + description()
                + " gave "
                + target.position()
                + " of "
                + length
                + " bytes at "
                + offset);
      }
      return new ReadResult.Data(slab.bytes(0, length));
    } catch (RuntimeException failure) {
      return switch (AzureFaults.code(failure)) {
        case "BlobNotFound" -> new ReadResult.Missing();
        case "ConditionNotMet" -> new ReadResult.Changed();
        default -> throw faults.fault("reading", key, failure);
      };
    } finally {
      slab.release();
    }
  }

  private PutResult change(String operation, String key, Supplier<String> request) {
    ensureContainer();
    try {
      return new PutResult.Stored(bare(request.get()));
    } catch (RuntimeException failure) {
      return switch (AzureFaults.code(failure)) {
        case "ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists" ->
            new PutResult.Refused();
        default -> throw faults.fault(operation, key, failure);
      };
    }
  }

  private static <T> T present(@Nullable T answer) {
    if (answer == null) {
      throw new IllegalStateException("an answer without a value");
    }
    return answer;
  }

  @Override
  public PutResult put(String key, List<Bytes> body, PutOptions options) {
    return change(
        "storing",
        key,
        () -> {
          counter.count(Kind.PUT);
          try (Transfer transfer = new Transfer()) {
            return present(
                    ask(
                        blob(changes, key)
                            .uploadWithResponse(
                                new BlockBlobSimpleUploadOptions(
                                        transfer.body(body), Transfer.length(body))
                                    .setHeaders(headers(options))
                                    .setMetadata(metadata(options))
                                    .setRequestConditions(conditions(options.condition())))))
                .getValue()
                .getETag();
          }
        });
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    if (!stamp.matches("[a-z0-9-]{1," + STAMP_LENGTH + "}")) {
      throw new IllegalArgumentException("'" + stamp + "' cannot be a part of block ids");
    }
    return stamp;
  }

  static String blockId(String stamp, int part) {
    String id = stamp + ".".repeat(STAMP_LENGTH - stamp.length()) + "-%06d".formatted(part);
    return Base64.getEncoder().encodeToString(id.getBytes(StandardCharsets.US_ASCII));
  }

  @Override
  public String stage(String key, String upload, int part, List<Bytes> body) {
    ensureContainer();
    String id = blockId(upload, part);
    counter.count(Kind.STAGE);
    try (Transfer transfer = new Transfer()) {
      ask(
          blob(changes, key)
              .stageBlockWithResponse(id, transfer.body(body), Transfer.length(body), null, null));
      return id;
    } catch (RuntimeException failure) {
      throw faults.fault("sending a part of", key, failure);
    }
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    return change("committing", key, () -> commitBlocks(key, tags, options));
  }

  private String commitBlocks(String key, List<String> ids, PutOptions options) {
    counter.count(Kind.COMMIT);
    return present(
            ask(
                blob(changes, key)
                    .commitBlockListWithResponse(
                        new BlockBlobCommitBlockListOptions(ids)
                            .setHeaders(headers(options))
                            .setMetadata(metadata(options))
                            .setRequestConditions(conditions(options.condition())))))
        .getValue()
        .getETag();
  }

  /** Nothing to do: the next commit drops what is staged under the name, and else a week does. */
  @Override
  public void abort(String key, String upload) {}

  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    Optional<StoreObject> source = head(sourceKey);
    if (source.isEmpty() || !source.get().etag().equals(sourceEtag)) {
      return new PutResult.Refused();
    }
    try {
      return change(
          "copying '" + sourceKey + "' to",
          key,
          () ->
              source.get().lengthBytes() <= COPY_BYTES
                  ? copyWhole(sourceKey, sourceEtag, key, options)
                  : copyInBlocks(source.get(), key, options));
    } catch (ForebayException failure) {
      if (failure.getCause() instanceof HttpResponseException cause && sourceWent(cause)) {
        // The source went between the look and the copy: definite, and the HEAD that follows says
        // why.
        return new PutResult.Refused();
      }
      throw failure;
    }
  }

  private static boolean sourceWent(HttpResponseException failure) {
    return switch (AzureFaults.code(failure)) {
      case "SourceConditionNotMet" -> true;
      case "CannotVerifyCopySource" -> failure.getResponse().getStatusCode() == 404;
      default -> false;
    };
  }

  private String copyWhole(String sourceKey, String sourceEtag, String key, PutOptions options) {
    counter.count(Kind.COPY);
    var copy =
        new BlobCopyFromUrlOptions(sourceUrl(sourceKey))
            .setMetadata(metadata(options))
            .setSourceRequestConditions(new BlobRequestConditions().setIfMatch(quoted(sourceEtag)))
            .setDestinationRequestConditions(conditions(options.condition()));
    authorization().ifPresent(copy::setSourceAuthorization);
    return present(ask(blob(changes, key).copyFromUrlWithResponse(copy)))
        .getHeaders()
        .getValue(com.azure.core.http.HttpHeaderName.ETAG);
  }

  private String copyInBlocks(StoreObject source, String key, PutOptions options) {
    // A copy is an attempt like any other: its blocks carry the same stamp.
    String stamp =
        options.metadata().getOrDefault("forebay_generation", "0")
            + "-"
            + options.metadata().getOrDefault("forebay_attempt", "0");
    var ids = new ArrayList<String>();
    for (long offset = 0; offset < source.lengthBytes(); offset += COPY_BYTES) {
      counter.count(Kind.COPY);
      String id = blockId(stamp, ids.size() + 1);
      var part =
          new BlockBlobStageBlockFromUrlOptions(id, sourceUrl(source.key()))
              .setSourceRange(
                  new BlobRange(offset, Math.min(COPY_BYTES, source.lengthBytes() - offset)))
              .setSourceRequestConditions(
                  new BlobRequestConditions().setIfMatch(quoted(source.etag())));
      authorization().ifPresent(part::setSourceAuthorization);
      ask(blob(changes, key).stageBlockFromUrlWithResponse(part));
      ids.add(id);
    }
    return commitBlocks(key, ids, options);
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
                      OffsetDateTime.now(java.time.ZoneOffset.UTC).plusMinutes(15),
                      new BlobSasPermission().setReadPermission(true)));
      case AzureAddress.Credential.Sas(var token) -> source.getBlobUrl() + "?" + token;
      case AzureAddress.Credential.Identity _ -> source.getBlobUrl();
    };
  }

  private Optional<HttpAuthorization> authorization() {
    return identity.map(credential ->
        new HttpAuthorization("Bearer", present(ask(credential.getToken(STORAGE))).getToken()));
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    ensureContainer();
    counter.count(Kind.DELETE);
    try {
      ask(blob(changes, key).deleteWithResponse(null, conditions(condition)));
      return new DeleteResult.Deleted();
    } catch (RuntimeException failure) {
      return switch (AzureFaults.code(failure)) {
        case "BlobNotFound" -> new DeleteResult.Missing();
        case "ConditionNotMet" -> new DeleteResult.Refused();
        default -> throw faults.fault("deleting", key, failure);
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

  private static BlobHttpHeaders headers(PutOptions options) {
    var headers = new BlobHttpHeaders();
    if (!options.contentType().isEmpty()) {
      headers.setContentType(options.contentType());
    }
    Map<String, String> others = options.headers();
    Optional.ofNullable(others.get("cache-control")).ifPresent(headers::setCacheControl);
    Optional.ofNullable(others.get("content-disposition"))
        .ifPresent(headers::setContentDisposition);
    Optional.ofNullable(others.get("content-encoding")).ifPresent(headers::setContentEncoding);
    Optional.ofNullable(others.get("content-language")).ifPresent(headers::setContentLanguage);
    return headers;
  }

  private static Map<String, String> metadata(PutOptions options) {
    var metadata = new TreeMap<String, String>();
    options.metadata().forEach((name, value) -> metadata.put(name, MetadataText.encode(value)));
    return metadata;
  }

  private static String bare(@Nullable String etag) {
    return etag == null ? "" : etag.replace("\"", "");
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
