package io.forebay.gateway.s3;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import io.forebay.gateway.http.HttpHandler;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The S3 door: give it to {@link io.forebay.gateway.http.HttpServer#start}. Every request is read,
 * then authenticated, then checked, and only then is its body asked for.
 */
public final class S3Door implements HttpHandler {
  private static final Logger LOG = LoggerFactory.getLogger(S3Door.class);
  private static final HexFormat REQUEST_IDS = HexFormat.of().withUpperCase();

  /** Sub-resources that S3 has and this door has not. */
  private static final Set<String> NOT_IMPLEMENTED =
      Set.of(
          "accelerate",
          "analytics",
          "attributes",
          "cors",
          "encryption",
          "intelligent-tiering",
          "inventory",
          "legal-hold",
          "lifecycle",
          "logging",
          "metadataConfiguration",
          "metadataTable",
          "metrics",
          "notification",
          "object-lock",
          "ownershipControls",
          "partNumber",
          "policy",
          "policyStatus",
          "publicAccessBlock",
          "renameObject",
          "replication",
          "requestPayment",
          "restore",
          "retention",
          "select",
          "session",
          "tagging",
          "torrent",
          "versions",
          "website");

  private final Env env;
  private final S3Config config;
  private final SignatureV4 signatures;
  private final S3Counters counters = new S3Counters();
  private final BucketCalls buckets;
  private final ObjectCalls objects;
  private final UploadCalls uploads;

  /** What answers a call, and S3's name of it. */
  private record Operation(String name, Work work) {}

  private interface Work {
    void run(S3Call call);
  }

  /**
   * @param pool lends the memory of bodies on their way in
   */
  public S3Door(Env env, FileService files, SlabPool pool, S3Config config, AccessKeys keys) {
    this.env = env;
    this.config = config;
    this.signatures = new SignatureV4(config, keys);
    this.buckets = new BucketCalls(files, config);
    this.objects = new ObjectCalls(files, pool, env, counters);
    this.uploads = new UploadCalls(files, pool, env, counters);
  }

  /** What the door has done so far. */
  public S3Metrics metrics() {
    return counters;
  }

  @Override
  public void handle(HttpExchange exchange) {
    String requestId = REQUEST_IDS.toHexDigits(env.random().nextLong());
    String operation = "Unknown";
    S3Request request = null;
    try {
      request = S3Request.parse(exchange.head(), config.domain());
      Caller caller = signatures.verify(request, env.wallMillis());
      Operation found = operation(request);
      operation = found.name;
      found.work.run(new S3Call(exchange, request, caller, requestId));
    } catch (S3Refusal refused) {
      S3Code code = refused.code();
      fail(exchange, request, requestId, code.status(), code.code(), refused);
    } catch (ForebayException failed) {
      ErrorCode code = failed.code();
      fail(exchange, request, requestId, code.httpStatus(), code.s3Code(), failed);
    } catch (RuntimeException bug) {
      LOG.error("s3.request.failed id={} operation={}", requestId, operation, bug);
      ErrorCode code = ErrorCode.INTERNAL;
      var hidden =
          new ForebayException(code, "We encountered an internal error. Please try again.", bug);
      fail(exchange, request, requestId, code.httpStatus(), code.s3Code(), hidden);
    }
    counters.answered(operation, exchange.status());
  }

  @Override
  public Answer refuse(Refusal refusal) {
    counters.answered("Refused", refusal == Refusal.BUSY ? 503 : 400);
    return switch (refusal) {
      case BUSY ->
          error(
              ErrorCode.BUSY.httpStatus(),
              ErrorCode.BUSY.s3Code(),
              "Please reduce your request rate: too many requests are under way",
              "",
              "");
      case HEAD_TOO_LARGE ->
          error(
              S3Code.REQUEST_HEADER_TOO_LARGE.status(),
              S3Code.REQUEST_HEADER_TOO_LARGE.code(),
              "Your request header section exceeds the maximum allowed size",
              "",
              "");
      case MALFORMED -> error(400, "BadRequest", "The request is not HTTP/1.1", "", "");
    };
  }

  private void fail(
      HttpExchange exchange,
      @Nullable S3Request request,
      String requestId,
      int status,
      String code,
      RuntimeException failure) {
    if (exchange.answered()) {
      LOG.warn("s3.answer.broken id={} code={} reason={}", requestId, code, failure.getMessage());
      exchange.abort();
      return;
    }
    if (status >= 500 && status != 501) {
      LOG.info("s3.request.refused id={} code={} reason={}", requestId, code, failure.getMessage());
    }
    String path = request == null ? "" : request.path();
    Answer answer = error(status, code, String.valueOf(failure.getMessage()), path, requestId);
    exchange.answer(
        exchange.head().method().equals("HEAD") ? Answer.empty(status, answer.headers()) : answer);
  }

  private Answer error(int status, String code, String message, String path, String requestId) {
    XmlText xml = XmlText.error();
    xml.leaf("Code", code).leaf("Message", message);
    if (code.equals(S3Code.AUTHORIZATION_HEADER_MALFORMED.code())) {
      xml.leaf("Region", config.region());
    }
    xml.leaf("Resource", path).leaf("RequestId", requestId);
    return xml.answer(
        status,
        List.of(new Header("x-amz-request-id", requestId), new Header("Server", "Forebay")));
  }

  private Operation operation(S3Request request) {
    if (request.bucket().isEmpty()) {
      if (!request.method().equals("GET")) {
        throw notAllowed();
      }
      return new Operation("ListBuckets", buckets::listBuckets);
    }
    refuseUnknownResources(request);
    return request.key().isEmpty() ? onBucket(request) : onObject(request);
  }

  private static void refuseUnknownResources(S3Request request) {
    for (S3Request.Param param : request.query()) {
      boolean ofUpload = param.name().equals("partNumber") && request.has("uploadId");
      boolean changesAcl = param.name().equals("acl") && !request.method().equals("GET");
      boolean changesVersioning =
          param.name().equals("versioning") && !request.method().equals("GET");
      if ((NOT_IMPLEMENTED.contains(param.name()) && !ofUpload)
          || changesAcl
          || changesVersioning) {
        throw new S3Refusal(
            S3Code.NOT_IMPLEMENTED,
            request.method() + " ?" + param.name() + " is not implemented by this door");
      }
    }
    Optional<String> version = request.param("versionId");
    if (version.isPresent() && !version.get().equals("null")) {
      throw new S3Refusal(S3Code.NO_SUCH_VERSION, "the only version of an object is 'null'");
    }
  }

  private Operation onBucket(S3Request request) {
    return switch (request.method()) {
      case "GET" -> {
        if (request.has("location")) {
          yield new Operation("GetBucketLocation", buckets::location);
        }
        if (request.has("versioning")) {
          yield new Operation("GetBucketVersioning", buckets::versioning);
        }
        if (request.has("acl")) {
          yield new Operation("GetBucketAcl", buckets::acl);
        }
        if (request.has("uploads")) {
          yield new Operation("ListMultipartUploads", uploads::listUploads);
        }
        yield request.param("list-type").orElse("1").equals("2")
            ? new Operation("ListObjectsV2", buckets::listV2)
            : new Operation("ListObjects", buckets::listV1);
      }
      case "HEAD" -> new Operation("HeadBucket", buckets::head);
      case "PUT" -> new Operation("CreateBucket", buckets::create);
      case "DELETE" -> new Operation("DeleteBucket", buckets::delete);
      case "POST" -> {
        if (request.has("delete")) {
          yield new Operation("DeleteObjects", buckets::deleteObjects);
        }
        throw new S3Refusal(
            S3Code.NOT_IMPLEMENTED, "POST on a bucket other than ?delete is not implemented");
      }
      default -> throw notAllowed();
    };
  }

  private Operation onObject(S3Request request) {
    boolean ofUpload = request.has("uploadId");
    boolean copies = request.header("x-amz-copy-source").isPresent();
    return switch (request.method()) {
      case "GET" -> {
        if (request.has("acl")) {
          yield new Operation("GetObjectAcl", buckets::acl);
        }
        yield ofUpload
            ? new Operation("ListParts", uploads::listParts)
            : new Operation("GetObject", objects::get);
      }
      case "HEAD" -> new Operation("HeadObject", objects::head);
      case "PUT" -> {
        if (ofUpload) {
          yield copies
              ? new Operation("UploadPartCopy", uploads::copyPart)
              : new Operation("UploadPart", uploads::putPart);
        }
        yield copies
            ? new Operation("CopyObject", objects::copy)
            : new Operation("PutObject", objects::put);
      }
      case "POST" -> {
        if (request.has("uploads")) {
          yield new Operation("CreateMultipartUpload", uploads::create);
        }
        if (ofUpload) {
          yield new Operation("CompleteMultipartUpload", uploads::complete);
        }
        throw notAllowed();
      }
      case "DELETE" ->
          ofUpload
              ? new Operation("AbortMultipartUpload", uploads::abort)
              : new Operation("DeleteObject", objects::delete);
      default -> throw notAllowed();
    };
  }

  private static S3Refusal notAllowed() {
    return new S3Refusal(
        S3Code.METHOD_NOT_ALLOWED, "The specified method is not allowed against this resource.");
  }
}
