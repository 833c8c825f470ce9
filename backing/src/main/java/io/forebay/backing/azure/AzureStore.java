package io.forebay.backing.azure;

import com.azure.core.http.rest.Response;
import com.azure.core.util.BinaryData;
import com.azure.core.util.Context;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.BlobServiceClientBuilder;
import com.azure.storage.blob.models.BlobErrorCode;
import com.azure.storage.blob.models.BlobHttpHeaders;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.BlobRange;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.BlobStorageException;
import com.azure.storage.blob.models.BlockBlobItem;
import com.azure.storage.blob.options.BlockBlobCommitBlockListOptions;
import com.azure.storage.blob.options.BlockBlobSimpleUploadOptions;
import com.azure.storage.blob.options.BlockBlobStageBlockOptions;
import com.azure.storage.blob.specialized.BlockBlobClient;
import com.azure.storage.common.StorageSharedKeyCredential;
import com.azure.storage.common.Utility;
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
import io.forebay.core.bytes.SlabPart;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;

/**
 * A container of Azure Blob Storage, through the official SDK.
 *
 * <p>Credentials, the first that is there: a connection string, an account key, a SAS token, or
 * whatever DefaultAzureCredential finds (environment, workload or managed identity, the Azure CLI).
 *
 * <p>The SDK's own retries are off: a change that is sent twice could not be told from two (rule
 * F1). Staged blocks are one pool for each blob name, so that block ids carry the attempt, and all
 * have one length (F10).
 */
public final class AzureStore implements ObjectStore {
  private static final StoreLimits LIMITS = new StoreLimits(50_000, 1, 4000L << 20);
  private static final int STAMP_CHARACTERS = 40;
  private static final int TRY_SECONDS = 60;
  private static final Duration TIMEOUT = Duration.ofSeconds(TRY_SECONDS);
  private static final int COPY_BYTES = 1 << 20;

  private final BlobContainerClient container;
  private final String prefix;
  private final String description;
  private final RequestCounter counter = new RequestCounter();

  /**
   * Opens a container.
   *
   * @param account name, for the endpoint and for a shared key
   * @param prefix of every blob's name; empty or ending in '/'
   * @param environment of the process: credentials
   * @param create whether to make the container when it is not there
   * @throws ForebayException CONFIGURATION for credentials that cannot be read
   */
  public AzureStore(
      String account,
      String containerName,
      String prefix,
      Map<String, String> environment,
      boolean create) {
    this.prefix = prefix;
    this.description = "azblob://" + account + "/" + containerName + "/" + prefix;
    var builder =
        new BlobServiceClientBuilder()
            .retryOptions(
                new RequestRetryOptions(RetryPolicyType.FIXED, 1, TRY_SECONDS, null, null, null));
    String connection = environment.getOrDefault("AZURE_STORAGE_CONNECTION_STRING", "");
    String key = environment.getOrDefault("AZURE_STORAGE_KEY", "");
    String sas = environment.getOrDefault("AZURE_STORAGE_SAS_TOKEN", "");
    try {
      if (!connection.isEmpty()) {
        builder.connectionString(connection);
      } else {
        builder.endpoint(
            environment.getOrDefault(
                "AZURE_STORAGE_ENDPOINT", "https://" + account + ".blob.core.windows.net"));
        if (!key.isEmpty()) {
          builder.credential(new StorageSharedKeyCredential(account, key));
        } else if (!sas.isEmpty()) {
          builder.sasToken(sas);
        } else {
          builder.credential(new DefaultAzureCredentialBuilder().build());
        }
      }
      this.container = builder.buildClient().getBlobContainerClient(containerName);
    } catch (IllegalArgumentException | NullPointerException wrong) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the store "
              + description
              + ": the credentials in AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or"
              + " AZURE_STORAGE_SAS_TOKEN cannot be read; copy them again from the account's page",
          wrong);
    }
    if (create) {
      call("making the container of", "", () -> container.createIfNotExists());
    }
  }

  @Override
  public String description() {
    return description;
  }

  @Override
  public StoreLimits limits() {
    return LIMITS;
  }

  private BlockBlobClient blob(String key) {
    return container.getBlobClient(Utility.urlEncode(prefix + key)).getBlockBlobClient();
  }

  private <T> T call(String operation, String key, Supplier<T> request) {
    try {
      return request.get();
    } catch (BlobStorageException refused) {
      throw fault(operation, key, refused);
    } catch (ForebayException known) {
      throw known;
    } catch (RuntimeException broken) {
      throw new ForebayException(
          ErrorCode.STORE_UNREACHABLE,
          operation
              + " '"
              + key
              + "' in the store "
              + description
              + " got no answer ("
              + broken
              + "); check the network, the endpoint and the credentials",
          broken);
    }
  }

  private ForebayException fault(String operation, String key, BlobStorageException refused) {
    int status = refused.getStatusCode();
    BlobErrorCode reason = refused.getErrorCode();
    ErrorCode code;
    String advice;
    if (status == 401 || status == 403) {
      code = ErrorCode.STORE_DENIED;
      advice =
          "the credentials do not allow it: check the key, the SAS token's rights and expiry, or the role";
    } else if (BlobErrorCode.CONTAINER_NOT_FOUND.equals(reason)
        || BlobErrorCode.CONTAINER_BEING_DELETED.equals(reason)
        || (status == 404 && key.isEmpty())) {
      code = ErrorCode.STORE_MISSING;
      advice = "there is no such container: create it, or add ?create=true to the store's URL";
    } else if (status == 429 || status == 503 || BlobErrorCode.INVALID_BLOCK_LIST.equals(reason)) {
      code = ErrorCode.STORE_THROTTLED;
      advice = "the account is busy, or an upload was dropped: it is tried again later";
    } else {
      code = ErrorCode.STORE_UNREACHABLE;
      advice = "the store failed: it is tried again later";
    }
    return new ForebayException(
        code,
        operation
            + " '"
            + key
            + "' in the store "
            + description
            + " was answered with "
            + status
            + " "
            + reason
            + "; "
            + advice,
        refused);
  }

  private static boolean conditionFailed(BlobStorageException refused) {
    return refused.getStatusCode() == 412
        || (refused.getStatusCode() == 409
            && BlobErrorCode.BLOB_ALREADY_EXISTS.equals(refused.getErrorCode()));
  }

  private static boolean absent(BlobStorageException refused) {
    return refused.getStatusCode() == 404
        && !BlobErrorCode.CONTAINER_NOT_FOUND.equals(refused.getErrorCode());
  }

  private static String unquoted(String etag) {
    return etag.length() >= 2 && etag.startsWith("\"") && etag.endsWith("\"")
        ? etag.substring(1, etag.length() - 1)
        : etag;
  }

  private static BlobRequestConditions conditions(StoreCondition condition) {
    var conditions = new BlobRequestConditions();
    return switch (condition) {
      case StoreCondition.Any _ -> conditions;
      case StoreCondition.IfAbsent _ -> conditions.setIfNoneMatch("*");
      case StoreCondition.IfMatch(var etag) -> conditions.setIfMatch("\"" + etag + "\"");
    };
  }

  private static BlobHttpHeaders headers(PutOptions options) {
    var headers = new BlobHttpHeaders();
    if (!options.contentType().isEmpty()) {
      headers.setContentType(options.contentType());
    }
    options
        .headers()
        .forEach((name, value) -> {
          switch (name.toLowerCase(Locale.ROOT)) {
            case "cache-control" -> headers.setCacheControl(value);
            case "content-encoding" -> headers.setContentEncoding(value);
            case "content-disposition" -> headers.setContentDisposition(value);
            case "content-language" -> headers.setContentLanguage(value);
            default -> {
              // Azure has no place for it; ours keeps it in the log.
            }
          }
        });
    return headers;
  }

  private static BinaryData data(List<Bytes> body) {
    var buffers = new ArrayList<ByteBuffer>();
    for (Bytes bytes : body) {
      buffers.add(
          bytes instanceof SlabPart part ? part.buffer() : ByteBuffer.wrap(bytes.toArray()));
    }
    return BinaryData.fromListByteBuffer(buffers);
  }

  @Override
  public Optional<StoreObject> head(String key) {
    counter.count(Kind.HEAD);
    return call(
        "looking at",
        key,
        () -> {
          try {
            BlobProperties found = blob(key).getProperties();
            var metadata = new TreeMap<String, String>();
            found
                .getMetadata()
                .forEach((name, value) -> metadata.put(name.toLowerCase(Locale.ROOT), value));
            return Optional.of(
                new StoreObject(
                    key,
                    found.getBlobSize(),
                    unquoted(found.getETag()),
                    Optional.ofNullable(found.getContentType()).orElse(""),
                    metadata,
                    found.getLastModified().toInstant().toEpochMilli()));
          } catch (BlobStorageException refused) {
            if (absent(refused)) {
              return Optional.empty();
            }
            throw refused;
          }
        });
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    counter.count(Kind.READ);
    Slab slab = pool.take();
    try {
      return call(
          "reading",
          key,
          () -> {
            try {
              ByteBuffer target = slab.buffer().limit(length);
              var conditions = new BlobRequestConditions();
              ifMatchEtag.ifPresent(etag -> conditions.setIfMatch("\"" + etag + "\""));
              blob(key)
                  .downloadStreamWithResponse(
                      into(target),
                      new BlobRange(offset, (long) length),
                      null,
                      conditions,
                      false,
                      TIMEOUT,
                      Context.NONE);
              if (target.hasRemaining()) {
                throw new ForebayException(
                    ErrorCode.STORE_UNREACHABLE,
                    "reading '" + key + "' gave " + target.remaining() + " bytes too few");
              }
              return new ReadResult.Data(slab.bytes(0, length));
            } catch (BlobStorageException refused) {
              if (absent(refused)) {
                return new ReadResult.Missing();
              }
              if (conditionFailed(refused)) {
                return new ReadResult.Changed();
              }
              throw refused;
            }
          });
    } finally {
      slab.release();
    }
  }

  private static OutputStream into(ByteBuffer target) {
    return new OutputStream() {
      @Override
      public void write(int value) {
        target.put((byte) value);
      }

      @Override
      public void write(byte[] bytes, int from, int count) {
        target.put(bytes, from, count);
      }
    };
  }

  private PutResult change(
      String operation, String key, Supplier<Response<BlockBlobItem>> request) {
    return call(
        operation,
        key,
        () -> {
          try {
            return new PutResult.Stored(unquoted(request.get().getValue().getETag()));
          } catch (BlobStorageException refused) {
            if (conditionFailed(refused)) {
              return new PutResult.Refused();
            }
            throw refused;
          }
        });
  }

  @Override
  public PutResult put(String key, List<Bytes> body, PutOptions options) {
    counter.count(Kind.PUT);
    return change(
        "storing",
        key,
        () ->
            blob(key)
                .uploadWithResponse(
                    new BlockBlobSimpleUploadOptions(data(body))
                        .setHeaders(headers(options))
                        .setMetadata(options.metadata())
                        .setRequestConditions(conditions(options.condition())),
                    TIMEOUT,
                    Context.NONE));
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    if (stamp.length() > STAMP_CHARACTERS) {
      throw new IllegalArgumentException(
          "a stamp has at most " + STAMP_CHARACTERS + " characters: " + stamp);
    }
    // Nothing is sent: blocks are staged under the blob's name, and their ids carry the stamp.
    return stamp + "_".repeat(STAMP_CHARACTERS - stamp.length());
  }

  @Override
  public String stage(String key, String upload, int part, List<Bytes> body) {
    counter.count(Kind.STAGE);
    String id =
        Base64.getEncoder()
            .encodeToString(
                String.format(Locale.ROOT, "%s%05d", upload, part)
                    .getBytes(StandardCharsets.US_ASCII));
    return call(
        "sending a part of",
        key,
        () -> {
          blob(key)
              .stageBlockWithResponse(
                  new BlockBlobStageBlockOptions(id, data(body)), TIMEOUT, Context.NONE);
          return id;
        });
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    counter.count(Kind.COMMIT);
    return change(
        "committing",
        key,
        () ->
            blob(key)
                .commitBlockListWithResponse(
                    new BlockBlobCommitBlockListOptions(tags)
                        .setHeaders(headers(options))
                        .setMetadata(options.metadata())
                        .setRequestConditions(conditions(options.condition())),
                    TIMEOUT,
                    Context.NONE));
  }

  @Override
  public void abort(String key, String upload) {
    // Azure drops staged blocks a week after the last, or with the next commit of the blob.
  }

  /** Through this node, part by part: what works with every account and every emulator. */
  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    Optional<StoreObject> source = head(sourceKey);
    if (source.isEmpty() || !source.get().etag().equals(sourceEtag)) {
      return new PutResult.Refused();
    }
    counter.count(Kind.COPY);
    String upload =
        begin(key, "copy-" + options.metadata().getOrDefault("forebay_attempt", "0"), options);
    var tags = new ArrayList<String>();
    var range = new byte[COPY_BYTES * 8];
    for (long offset = 0; offset < source.get().lengthBytes(); offset += range.length) {
      int length = (int) Math.min(range.length, source.get().lengthBytes() - offset);
      long from = offset;
      ByteBuffer target = ByteBuffer.wrap(range, 0, length);
      boolean same =
          call(
              "copying",
              sourceKey,
              () -> {
                try {
                  blob(sourceKey)
                      .downloadStreamWithResponse(
                          into(target),
                          new BlobRange(from, (long) length),
                          null,
                          new BlobRequestConditions().setIfMatch("\"" + sourceEtag + "\""),
                          false,
                          TIMEOUT,
                          Context.NONE);
                  return true;
                } catch (BlobStorageException refused) {
                  if (conditionFailed(refused) || absent(refused)) {
                    return false;
                  }
                  throw refused;
                }
              });
      if (!same) {
        return new PutResult.Refused();
      }
      String id =
          Base64.getEncoder()
              .encodeToString(
                  String.format(Locale.ROOT, "%s%05d", upload, tags.size() + 1)
                      .getBytes(StandardCharsets.US_ASCII));
      call(
          "copying",
          key,
          () ->
              blob(key)
                  .stageBlockWithResponse(
                      new BlockBlobStageBlockOptions(
                          id, BinaryData.fromByteBuffer(ByteBuffer.wrap(range, 0, length))),
                      TIMEOUT,
                      Context.NONE));
      tags.add(id);
    }
    return commit(key, upload, tags, options);
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    counter.count(Kind.DELETE);
    return call(
        "deleting",
        key,
        () -> {
          try {
            blob(key).deleteWithResponse(null, conditions(condition), TIMEOUT, Context.NONE);
            return new DeleteResult.Deleted();
          } catch (BlobStorageException refused) {
            if (absent(refused)) {
              return new DeleteResult.Missing();
            }
            if (conditionFailed(refused)) {
              return new DeleteResult.Refused();
            }
            throw refused;
          }
        });
  }

  @Override
  public StoreRequests requests() {
    return counter.requests();
  }

  @Override
  public void close() {}
}
