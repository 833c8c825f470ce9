package io.forebay.gateway.s3;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FileService;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import io.forebay.gateway.http.HttpHandler;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
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
          "torrent",
          "website");

  private final Env env;
  private final S3Config config;
  private final SignatureV4 signatures;
  private final S3Counters counters = new S3Counters();
  private final BucketCalls buckets;
  private final ObjectCalls objects;
  private final UploadCalls uploads;
  private final TagCalls tags;
  private final VersionCalls versions;
  private final AttributeCalls attributes;
  private final FormCalls forms;
  private final Cors cors;

  /** What answers a call, S3's name of it, and the right that it takes in the bucket. */
  private record Operation(String name, KeyRight right, Work work) {
    /** Whether it may compute for long before it first waits: not on an event loop, then. */
    boolean computes() {
      return switch (name) {
        case "HeadObject", "GetObject", "PutObject", "UploadPart", "HeadBucket" -> false;
        default -> true;
      };
    }
  }

  /** Answers a call. */
  interface Work {
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
    this.tags = new TagCalls(files);
    this.versions = new VersionCalls(files);
    this.attributes = new AttributeCalls(files);
    this.forms = new FormCalls(files, pool, env, counters, signatures);
    this.cors = new Cors(config.cors());
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
    List<Header> always = List.of();
    try {
      request = S3Request.parse(exchange.head(), config.domain());
      always = cors.of(request);
      if (request.method().equals("OPTIONS")) {
        operation = "Preflight";
        exchange.answer(preflight(request, requestId));
      } else if (request.key().isEmpty()
          && !request.bucket().isEmpty()
          && request.query().isEmpty()
          && FormBody.isForm(request)) {
        operation = "PostObject";
        env.leaveStarter();
        forms.post(exchange, request, requestId, always);
      } else {
        Caller caller = signatures.verify(request, env.wallMillis());
        Operation found = operation(request);
        operation = found.name;
        if (!request.bucket().isEmpty()) {
          caller.rights().require(found.right, request.bucket());
        }
        if (found.computes()) {
          env.leaveStarter();
        }
        found.work.run(new S3Call(exchange, request, caller, requestId, always));
      }
    } catch (S3Refusal refused) {
      S3Code code = refused.code();
      fail(exchange, request, requestId, always, code.status(), code.code(), refused);
    } catch (ForebayException failed) {
      ErrorCode code = failed.code();
      if (code == ErrorCode.INTERNAL) {
        LOG.error("s3.request.failed id={} operation={}", requestId, operation, failed);
      }
      fail(exchange, request, requestId, always, code.httpStatus(), code.s3Code(), failed);
    } catch (RuntimeException bug) {
      LOG.error("s3.request.failed id={} operation={}", requestId, operation, bug);
      ErrorCode code = ErrorCode.INTERNAL;
      var hidden =
          new ForebayException(code, "We encountered an internal error. Please try again.", bug);
      fail(exchange, request, requestId, always, code.httpStatus(), code.s3Code(), hidden);
    }
    counters.answered(operation, exchange.status());
  }

  /** A browser asks before it lets a page send; such requests are never signed. */
  private Answer preflight(S3Request request, String requestId) {
    var headers = new ArrayList<Header>();
    headers.add(new Header("x-amz-request-id", requestId));
    headers.add(new Header("Server", "Forebay"));
    headers.addAll(cors.preflight(request));
    return Answer.empty(200, headers);
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
              "",
              List.of());
      case HEAD_TOO_LARGE ->
          error(
              S3Code.REQUEST_HEADER_TOO_LARGE.status(),
              S3Code.REQUEST_HEADER_TOO_LARGE.code(),
              "Your request header section exceeds the maximum allowed size",
              "",
              "",
              List.of());
      case NOT_TLS ->
          error(
              400,
              S3Code.INVALID_REQUEST.code(),
              "This port speaks HTTPS only, and plain HTTP came: use https:// in the endpoint's URL",
              "",
              "",
              List.of());
      case MALFORMED -> error(400, "BadRequest", "The request is not HTTP/1.1", "", "", List.of());
    };
  }

  private void fail(
      HttpExchange exchange,
      @Nullable S3Request request,
      String requestId,
      List<Header> always,
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
    SortedMap<String, String> details =
        failure instanceof S3Refusal refusal ? refusal.details() : Collections.emptySortedMap();
    Answer answer =
        error(status, code, String.valueOf(failure.getMessage()), details, path, requestId, always);
    exchange.answer(
        exchange.head().method().equals("HEAD") ? Answer.empty(status, answer.headers()) : answer);
  }

  private Answer error(
      int status, String code, String message, String path, String requestId, List<Header> always) {
    return error(status, code, message, Collections.emptySortedMap(), path, requestId, always);
  }

  private Answer error(
      int status,
      String code,
      String message,
      SortedMap<String, String> details,
      String path,
      String requestId,
      List<Header> always) {
    XmlText xml = XmlText.error();
    xml.leaf("Code", code).leaf("Message", message);
    if (code.equals(S3Code.AUTHORIZATION_HEADER_MALFORMED.code())) {
      xml.leaf("Region", config.region());
    }
    details.forEach(xml::leaf);
    xml.leaf("Resource", path).leaf("RequestId", requestId);
    var headers = new ArrayList<Header>();
    headers.add(new Header("x-amz-request-id", requestId));
    headers.add(new Header("Server", "Forebay"));
    headers.addAll(always);
    return xml.answer(status, headers);
  }

  private Operation operation(S3Request request) {
    if (request.bucket().isEmpty()) {
      if (!request.method().equals("GET")) {
        throw notAllowed();
      }
      return new Operation("ListBuckets", KeyRight.READ, buckets::listBuckets);
    }
    refuseUnknownResources(request);
    ObjectHeaders.refuseHoisted(request);
    return request.key().isEmpty() ? onBucket(request) : onObject(request);
  }

  private static void refuseUnknownResources(S3Request request) {
    boolean reads = request.method().equals("GET") || request.method().equals("HEAD");
    for (S3Request.Param param : request.query()) {
      boolean refused =
          switch (param.name()) {
            case "partNumber" -> !reads && !request.has("uploadId");
            case "acl", "versioning", "cors", "versions" -> !reads;
            case "tagging" -> request.key().isEmpty();
            case "attributes" -> !reads || request.key().isEmpty();
            default -> NOT_IMPLEMENTED.contains(param.name());
          };
      if (refused) {
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
      case "GET" -> bucketRead(request);
      case "HEAD" -> new Operation("HeadBucket", KeyRight.READ, buckets::head);
      case "PUT" -> new Operation("CreateBucket", KeyRight.ADMIN, buckets::create);
      case "DELETE" -> new Operation("DeleteBucket", KeyRight.ADMIN, buckets::delete);
      case "POST" -> {
        if (request.has("delete")) {
          yield new Operation("DeleteObjects", KeyRight.WRITE, buckets::deleteObjects);
        }
        throw new S3Refusal(
            S3Code.NOT_IMPLEMENTED,
            "POST on a bucket other than ?delete or a form is not implemented");
      }
      default -> throw notAllowed();
    };
  }

  private Operation bucketRead(S3Request request) {
    if (request.has("location")) {
      return new Operation("GetBucketLocation", KeyRight.READ, buckets::location);
    }
    if (request.has("versioning")) {
      return new Operation("GetBucketVersioning", KeyRight.READ, buckets::versioning);
    }
    if (request.has("acl")) {
      return new Operation("GetBucketAcl", KeyRight.READ, buckets::acl);
    }
    if (request.has("cors")) {
      return new Operation("GetBucketCors", KeyRight.READ, buckets.existing(cors::get));
    }
    if (request.has("versions")) {
      return new Operation("ListObjectVersions", KeyRight.READ, versions::list);
    }
    if (request.has("uploads")) {
      return new Operation("ListMultipartUploads", KeyRight.READ, uploads::listUploads);
    }
    return request.param("list-type").orElse("1").equals("2")
        ? new Operation("ListObjectsV2", KeyRight.READ, buckets::listV2)
        : new Operation("ListObjects", KeyRight.READ, buckets::listV1);
  }

  private Operation onObject(S3Request request) {
    boolean ofUpload = request.has("uploadId");
    boolean copies = request.header("x-amz-copy-source").isPresent();
    return switch (request.method()) {
      case "GET" -> objectRead(request, ofUpload);
      case "HEAD" -> new Operation("HeadObject", KeyRight.READ, objects::head);
      case "PUT" -> {
        if (request.has("tagging")) {
          yield new Operation("PutObjectTagging", KeyRight.WRITE, tags::put);
        }
        if (ofUpload) {
          yield copies
              ? new Operation("UploadPartCopy", KeyRight.WRITE, uploads::copyPart)
              : new Operation("UploadPart", KeyRight.WRITE, uploads::putPart);
        }
        yield copies
            ? new Operation("CopyObject", KeyRight.WRITE, objects::copy)
            : new Operation("PutObject", KeyRight.WRITE, objects::put);
      }
      case "POST" -> {
        if (request.has("uploads")) {
          yield new Operation("CreateMultipartUpload", KeyRight.WRITE, uploads::create);
        }
        if (ofUpload) {
          yield new Operation("CompleteMultipartUpload", KeyRight.WRITE, uploads::complete);
        }
        throw notAllowed();
      }
      case "DELETE" -> {
        if (request.has("tagging")) {
          yield new Operation("DeleteObjectTagging", KeyRight.WRITE, tags::delete);
        }
        yield ofUpload
            ? new Operation("AbortMultipartUpload", KeyRight.WRITE, uploads::abort)
            : new Operation("DeleteObject", KeyRight.WRITE, objects::delete);
      }
      default -> throw notAllowed();
    };
  }

  private Operation objectRead(S3Request request, boolean ofUpload) {
    if (request.has("acl")) {
      return new Operation("GetObjectAcl", KeyRight.READ, buckets::acl);
    }
    if (request.has("tagging")) {
      return new Operation("GetObjectTagging", KeyRight.READ, tags::get);
    }
    if (request.has("attributes")) {
      return new Operation("GetObjectAttributes", KeyRight.READ, attributes::get);
    }
    return ofUpload
        ? new Operation("ListParts", KeyRight.READ, uploads::listParts)
        : new Operation("GetObject", KeyRight.READ, objects::get);
  }

  private static S3Refusal notAllowed() {
    return new S3Refusal(
        S3Code.METHOD_NOT_ALLOWED, "The specified method is not allowed against this resource.");
  }
}
