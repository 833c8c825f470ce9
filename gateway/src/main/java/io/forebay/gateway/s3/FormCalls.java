package io.forebay.gateway.s3;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.Headers;
import io.forebay.gateway.http.HttpExchange;
import io.forebay.gateway.http.RequestBody;
import io.forebay.gateway.http.RequestHead;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Pattern;

/** PostObject: an upload by a form of a browser, under a signed policy. */
final class FormCalls {
  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]+"); // RFC 9110

  /** Fields that are about the form, not about the object. */
  private static final Set<String> OF_THE_FORM =
      Set.of(
          "key",
          "policy",
          "x-amz-algorithm",
          "x-amz-credential",
          "x-amz-date",
          "x-amz-signature",
          "success_action_redirect",
          "success_action_status",
          "redirect",
          "bucket");

  private final FileService files;
  private final SlabPool pool;
  private final Env env;
  private final S3Counters counters;
  private final SignatureV4 signatures;

  FormCalls(
      FileService files, SlabPool pool, Env env, S3Counters counters, SignatureV4 signatures) {
    this.files = files;
    this.pool = pool;
    this.env = env;
    this.counters = counters;
    this.signatures = signatures;
  }

  /** Takes a form. Nothing is published unless its policy allows all of it. */
  void post(HttpExchange exchange, S3Request request, String requestId, List<Header> always) {
    FormBody form = FormBody.of(request, exchange.body());
    Map<String, String> fields = form.fields();
    Caller caller = signatures.verifyForm(request, fields);
    caller.rights().require(KeyRight.WRITE, request.bucket());
    Map<String, String> text = new LinkedHashMap<>();
    fields.forEach((name, value) -> text.put(name, utf8(value)));
    String key = key(text, utf8(form.fileName()));
    text.put("key", key);
    text.put("bucket", request.bucket());
    PostPolicy policy =
        fields.containsKey("policy")
            ? PostPolicy.parse(fields.get("policy"))
            : new PostPolicy(Long.MAX_VALUE, List.of(), 0, Long.MAX_VALUE);
    if (fields.containsKey("policy")) {
      policy.check(text, env.wallMillis());
    }
    String redirect = redirect(text);
    S3Request put = asPut(request, fields, key);
    ObjectKey.check(key);
    ObjectHeaders.refuseUnknownWishes(put);
    var body = new IncomingBody(put, caller);
    var options =
        new WriteOptions(
            ObjectHeaders.metadata(put, Map.of()),
            WriteConditions.NONE,
            OptionalLong.empty(),
            true);
    ObjectInfo made;
    try (BodyWriter<ObjectInfo> writer = files.create(request.bucket(), key, options)) {
      Optional<String> md5 =
          body.receive(bounded(form.file(), policy.mostBytes()), writer, pool, env);
      if (body.receivedBytes() < policy.leastBytes()) {
        throw new S3Refusal(
            S3Code.ENTITY_TOO_SMALL,
            "Your proposed upload is smaller than the minimum allowed size of "
                + policy.leastBytes()
                + " bytes");
      }
      made = writer.publish(md5, body.announcedChecksums());
    } finally {
      counters.received(body.receivedBytes());
    }
    answer(new S3Call(exchange, put, caller, requestId, always), text, redirect, made);
  }

  private static String utf8(String bytes) {
    return new String(bytes.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
  }

  private static String key(Map<String, String> fields, String fileName) {
    String key = fields.get("key");
    if (key == null) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT,
          "Bucket POST must contain a field named 'key'. If it is specified, please check the order"
              + " of the fields.");
    }
    return key.replace("${filename}", fileName);
  }

  /** The form as the PUT that it stands for: its fields are headers there. */
  private static S3Request asPut(S3Request request, Map<String, String> fields, String key) {
    var headers = new ArrayList<Header>();
    request.header("host").ifPresent(host -> headers.add(new Header("host", host)));
    fields.forEach((name, value) -> {
      switch (name) {
        case "acl" -> headers.add(new Header("x-amz-acl", value));
        case "tagging" -> {
          byte[] document = value.getBytes(StandardCharsets.ISO_8859_1);
          Tags tags = Tags.ofDocument(XmlElement.parse(document, "Tagging"));
          headers.add(new Header(Tags.HEADER, tags.text()));
        }
        default -> {
          if (!OF_THE_FORM.contains(name)) {
            headers.add(header(name, value));
          }
        }
      }
    });
    var head =
        new RequestHead(
            request.method(),
            request.head().target(),
            new Headers(headers),
            OptionalLong.empty(),
            true,
            request.head().secure(),
            request.head().peer());
    return new S3Request(
        head, request.rawPath(), request.path(), request.query(), request.bucket(), key);
  }

  /**
   * A field as a header: HTTP has let nothing through that would break a later answer, a form may.
   */
  private static Header header(String name, String value) {
    if (!TOKEN.matcher(name).matches() || value.chars().anyMatch(FormCalls::breaksLines)) {
      throw new S3Refusal(
          S3Code.INVALID_ARGUMENT,
          "a form's field must have a name of letters, digits and hyphens, and no control"
              + " characters in its value");
    }
    return new Header(name, value);
  }

  private static boolean breaksLines(int c) {
    return (c < 0x20 && c != '\t') || c == 0x7F;
  }

  /** Where the browser is to go afterwards; empty: nowhere. */
  private static String redirect(Map<String, String> fields) {
    String redirect =
        fields.getOrDefault("success_action_redirect", fields.getOrDefault("redirect", ""));
    if (!redirect.startsWith("http://") && !redirect.startsWith("https://")) {
      return "";
    }
    if (redirect.chars().anyMatch(c -> c <= 0x20 || c >= 0x7F)) {
      throw new S3Refusal(S3Code.INVALID_ARGUMENT, "success_action_redirect must be a URL");
    }
    return redirect;
  }

  private static RequestBody bounded(RequestBody file, long mostBytes) {
    long[] left = {mostBytes};
    return () -> {
      ByteBuffer run = file.next();
      if (run != null) {
        left[0] -= run.remaining();
        if (left[0] < 0) {
          throw new ForebayException(
              ErrorCode.ENTITY_TOO_LARGE,
              "Your proposed upload exceeds the maximum allowed size of " + mostBytes + " bytes");
        }
      }
      return run;
    };
  }

  private static void answer(
      S3Call call, Map<String, String> fields, String redirect, ObjectInfo made) {
    List<Header> headers = call.headers();
    String etag = "\"" + made.etag() + "\"";
    boolean hostStyle = call.request().path().equals("/");
    String path =
        (hostStyle ? "/" : "/" + made.bucket() + "/") + PercentCoding.encode(made.key(), true);
    String location =
        call.request().head().scheme() + call.request().header("host").orElse("localhost") + path;
    headers.add(new Header("ETag", etag));
    if (!redirect.isEmpty()) {
      headers.add(
          new Header(
              "Location",
              redirect
                  + (redirect.contains("?") ? "&" : "?")
                  + "bucket="
                  + PercentCoding.encode(made.bucket(), false)
                  + "&key="
                  + PercentCoding.encode(made.key(), false)
                  + "&etag="
                  + PercentCoding.encode(etag, false)));
      call.answer(Answer.empty(303, headers));
      return;
    }
    headers.add(new Header("Location", location));
    switch (fields.getOrDefault("success_action_status", "204")) {
      case "200" -> call.answer(Answer.empty(200, headers));
      case "201" -> {
        var xml = new XmlText("PostResponse");
        xml.leaf("Location", location)
            .leaf("Bucket", made.bucket())
            .leaf("Key", made.key())
            .leaf("ETag", etag);
        call.answer(xml.answer(201, headers));
      }
      default -> call.answer(Answer.empty(204, headers));
    }
  }
}
