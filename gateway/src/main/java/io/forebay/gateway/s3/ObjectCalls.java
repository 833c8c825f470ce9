package io.forebay.gateway.s3;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.ByteRange;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** S3's calls on one object. */
final class ObjectCalls {
  private static final int READ_BYTES = 1 << 20;
  // A client that takes nothing for so long is slow, until it has taken some pieces without a wait.
  private static final long SLOW_NANOS = 1_000_000_000L;
  private static final int SLOW_PIECES = 64;
  private static final int SLOW_BYTES = 64 << 10;

  private final FileService files;
  private final SlabPool pool;
  private final Env env;
  private final S3Counters counters;

  ObjectCalls(FileService files, SlabPool pool, Env env, S3Counters counters) {
    this.files = files;
    this.pool = pool;
    this.env = env;
    this.counters = counters;
  }

  void head(S3Call call) {
    S3Request request = call.request();
    ObjectInfo info =
        files
            .stat(request.bucket(), request.key())
            .orElseThrow(() ->
                new ForebayException(ErrorCode.NOT_FOUND, "The specified key does not exist."));
    if (holds(call, info)) {
      Optional<ByteRange> range = range(request, info);
      begin(call, info, range);
      call.exchange().end();
    }
  }

  void get(S3Call call) {
    S3Request request = call.request();
    try (ObjectReader reader = files.open(request.bucket(), request.key(), ReadConditions.NONE)) {
      ObjectInfo info = reader.info();
      if (!holds(call, info)) {
        return;
      }
      Optional<ByteRange> range = range(request, info);
      long offset = range.map(ByteRange::offset).orElse(0L);
      long left = range.map(ByteRange::lengthBytes).orElse(info.lengthBytes());
      if (left > 0) {
        reader.willRead(new ByteRange(offset, left));
      }
      // The first read comes before the answer begins, so that its failure has a name.
      Bytes next = left == 0 ? null : reader.read(offset, (int) Math.min(left, READ_BYTES));
      try {
        begin(call, info, range);
      } catch (RuntimeException failed) {
        if (next != null) {
          next.release();
        }
        throw failed;
      }
      if (next != null) {
        send(call.exchange(), reader, offset, left, next);
      }
      call.exchange().end();
    }
  }

  /**
   * Sends a body, from where it lies. A client that is slow gets small copies instead, for as long
   * as it is: what lies in a slab's way out nobody else can use.
   */
  private void send(
      HttpExchange exchange, ObjectReader reader, long from, long length, Bytes first) {
    Bytes next = first;
    int copies = 0; // how many more pieces are copied
    for (long offset = from, end = from + length; offset < end; ) {
      if (offset > from) {
        if (!exchange.awaitTaken(copies == 0 ? SLOW_NANOS : 0)) {
          reader.pause();
          copies = SLOW_PIECES;
          exchange.awaitTaken();
        }
        next =
            reader.read(
                offset, (int) Math.min(end - offset, copies == 0 ? READ_BYTES : SLOW_BYTES));
      }
      int sent = next.length();
      if (copies == 0) {
        exchange.write(next);
      } else {
        exchange.writeCopy(next);
        reader.pause();
        copies--;
      }
      counters.sent(sent);
      offset += sent;
    }
  }

  /** Whether the read's conditions hold; answers 304 when the client has it already. */
  private static boolean holds(S3Call call, ObjectInfo info) {
    try {
      Conditions.read(call.request(), "").check(info);
      return true;
    } catch (ForebayException refused) {
      if (refused.code() != ErrorCode.NOT_MODIFIED) {
        throw refused;
      }
      List<Header> headers = call.headers();
      ObjectHeaders.addTo(headers, info, call, false);
      call.answer(Answer.empty(304, headers));
      return false;
    }
  }

  private static Optional<ByteRange> range(S3Request request, ObjectInfo info) {
    Optional<String> ifRange = request.header("if-range");
    if (ifRange.isPresent()
        && !info.matches(Conditions.etag(ifRange.get()))
        && Conditions.date(ifRange).orElse(-1) != info.modifiedMillis() / 1000 * 1000) {
      return Optional.empty();
    }
    return ByteRanges.of(request.header("range"), info.lengthBytes());
  }

  private static void begin(S3Call call, ObjectInfo info, Optional<ByteRange> range) {
    List<Header> headers = call.headers();
    ObjectHeaders.addTo(headers, info, call, range.isEmpty());
    if (range.isPresent()) {
      ByteRange part = range.get();
      headers.add(
          new Header(
              "Content-Range",
              "bytes "
                  + part.offset()
                  + "-"
                  + (part.offset() + part.lengthBytes() - 1)
                  + "/"
                  + info.lengthBytes()));
      call.exchange().begin(206, headers, part.lengthBytes());
    } else {
      call.exchange().begin(200, headers, info.lengthBytes());
    }
  }

  void put(S3Call call) {
    S3Request request = call.request();
    ObjectKey.check(request.key());
    ObjectHeaders.refuseUnknownWishes(request);
    if (!request.head().chunked() && request.head().contentLength().isEmpty()) {
      throw new S3Refusal(
          S3Code.MISSING_CONTENT_LENGTH, "You must provide the Content-Length HTTP header.");
    }
    var body = new IncomingBody(request, call.caller());
    var options =
        new WriteOptions(
            ObjectHeaders.metadata(request, body.announcedChecksums()),
            Conditions.write(request),
            body.expectedBytes(),
            true);
    ObjectInfo made;
    try (BodyWriter<ObjectInfo> writer = files.create(request.bucket(), request.key(), options)) {
      Optional<String> md5 = body.receive(call.exchange().body(), writer, pool, env);
      made = writer.publish(md5);
    } finally {
      counters.received(body.receivedBytes());
    }
    List<Header> headers = call.headers();
    headers.add(new Header("ETag", "\"" + made.etag() + "\""));
    echo(headers, body);
    call.answer(Answer.empty(200, headers));
  }

  static void echo(List<Header> headers, IncomingBody body) {
    body.announcedChecksums().forEach((name, value) -> headers.add(new Header(name, value)));
  }

  void copy(S3Call call) {
    S3Request request = call.request();
    ObjectKey.check(request.key());
    ObjectHeaders.refuseUnknownWishes(request);
    CopySource source = CopySource.parse(request.header("x-amz-copy-source").orElse(""));
    Optional<ObjectMetadata> metadata =
        switch (request.header("x-amz-metadata-directive").orElse("COPY")) {
          case "COPY" -> Optional.empty();
          case "REPLACE" -> Optional.of(ObjectHeaders.metadata(request, Map.of()));
          default ->
              throw new S3Refusal(
                  S3Code.INVALID_ARGUMENT, "x-amz-metadata-directive must be COPY or REPLACE");
        };
    if (metadata.isEmpty()
        && source.bucket().equals(request.bucket())
        && source.key().equals(request.key())) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST,
          "This copy request is illegal because it is trying to copy an object to itself without"
              + " changing the object's metadata");
    }
    ObjectInfo made =
        ofSource(() ->
            files.copy(
                source.bucket(),
                source.key(),
                Conditions.read(request, "x-amz-copy-source-"),
                request.bucket(),
                request.key(),
                new CopyOptions(metadata, Conditions.write(request))));
    var xml = new XmlText("CopyObjectResult");
    xml.time("LastModified", made.modifiedMillis()).leaf("ETag", "\"" + made.etag() + "\"");
    call.answer(200, xml);
  }

  /** A copy knows no 304: its source's conditions fail with 412. */
  static <T> T ofSource(Supplier<T> copying) {
    try {
      return copying.get();
    } catch (ForebayException refused) {
      if (refused.code() == ErrorCode.NOT_MODIFIED) {
        throw new ForebayException(
            ErrorCode.PRECONDITION_FAILED, String.valueOf(refused.getMessage()), refused);
      }
      throw refused;
    }
  }

  void delete(S3Call call) {
    S3Request request = call.request();
    var _ = files.delete(request.bucket(), request.key(), Conditions.write(request));
    call.empty(204);
  }
}
