package io.forebay.gateway.s3;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.KeyRight;
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
import io.forebay.core.file.ObjectPart;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.gateway.http.Answer;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.HttpExchange;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;

/** S3's calls on one object. */
final class ObjectCalls {
  private static final int READ_BYTES = 1 << 20;
  // A client that takes nothing for so long is slow, until it has taken some pieces without a wait.
  private static final long SLOW_NANOS = 1_000_000_000L;
  private static final int SLOW_PIECES = 64;
  private static final int SLOW_BYTES = 64 << 10;
  private static final int COPY_TRIES = 20;

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
      begin(call, info, stretch(request, info));
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
      Stretch stretch = stretch(request, info);
      long offset = stretch.offset;
      long left = stretch.lengthBytes;
      if (left > 0) {
        reader.willRead(new ByteRange(offset, left));
      }
      // The first read comes before the answer begins, so that its failure has a name.
      Bytes next = left == 0 ? null : reader.read(offset, (int) Math.min(left, READ_BYTES));
      try {
        begin(call, info, stretch);
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

  /**
   * What of an object is wanted.
   *
   * @param whole neither a range nor a part
   */
  private record Stretch(
      long offset, long lengthBytes, boolean whole, Optional<PartReads.Wanted> part) {}

  private Stretch stretch(S3Request request, ObjectInfo info) {
    Optional<PartReads.Wanted> part = PartReads.wanted(files, request, info);
    if (part.isPresent()) {
      ObjectPart wanted = part.get().part();
      return new Stretch(wanted.offset(), wanted.lengthBytes(), false, part);
    }
    return range(request, info)
        .map(range -> new Stretch(range.offset(), range.lengthBytes(), false, part))
        .orElseGet(() -> new Stretch(0, info.lengthBytes(), true, part));
  }

  private static void begin(S3Call call, ObjectInfo info, Stretch stretch) {
    List<Header> headers = call.headers();
    // One part is all of an object that is not of parts.
    boolean all =
        stretch.whole || (stretch.part.isPresent() && stretch.part.get().count().isEmpty());
    ObjectHeaders.addTo(headers, info, call, all);
    if (stretch.part.isPresent()) {
      PartReads.Wanted wanted = stretch.part.get();
      wanted
          .count()
          .ifPresent(
              count -> headers.add(new Header("x-amz-mp-parts-count", Integer.toString(count))));
      if (!all) {
        ObjectHeaders.checksums(headers, wanted.part().headers(), call.request());
      }
    }
    if (stretch.whole || stretch.lengthBytes == 0) {
      call.exchange().begin(200, headers, stretch.lengthBytes);
      return;
    }
    headers.add(
        new Header(
            "Content-Range",
            "bytes "
                + stretch.offset
                + "-"
                + (stretch.offset + stretch.lengthBytes - 1)
                + "/"
                + info.lengthBytes()));
    call.exchange().begin(206, headers, stretch.lengthBytes);
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
            ObjectHeaders.metadata(request, Map.of()),
            Conditions.write(request),
            body.expectedBytes(),
            true);
    ObjectInfo made;
    try (BodyWriter<ObjectInfo> writer = files.create(request.bucket(), request.key(), options)) {
      Optional<String> md5 = body.receive(call.exchange().body(), writer, pool, env);
      made = writer.publish(md5, body.announcedChecksums());
    } finally {
      counters.received(body.receivedBytes());
    }
    List<Header> headers = call.headers();
    headers.add(new Header("ETag", "\"" + made.etag() + "\""));
    ObjectHeaders.echo(headers, body.announcedChecksums());
    call.answer(Answer.empty(200, headers));
  }

  void copy(S3Call call) {
    S3Request request = call.request();
    ObjectKey.check(request.key());
    ObjectHeaders.refuseUnknownWishes(request);
    CopySource source = CopySource.parse(request.header("x-amz-copy-source").orElse(""));
    call.caller().rights().require(KeyRight.READ, source.bucket());
    boolean replaces = replaces(request, "x-amz-metadata-directive");
    boolean retags = replaces(request, "x-amz-tagging-directive");
    if (!replaces
        && !retags
        && source.bucket().equals(request.bucket())
        && source.key().equals(request.key())) {
      throw new S3Refusal(
          S3Code.INVALID_REQUEST,
          "This copy request is illegal because it is trying to copy an object to itself without"
              + " changing the object's metadata");
    }
    ReadConditions conditions = Conditions.read(request, "x-amz-copy-source-");
    ObjectInfo made =
        ofSource(() ->
            replaces || retags
                ? copyWith(request, source, conditions, replaces, retags)
                : files.copy(
                    source.bucket(),
                    source.key(),
                    conditions,
                    request.bucket(),
                    request.key(),
                    new CopyOptions(Optional.empty(), Conditions.write(request))));
    var xml = new XmlText("CopyObjectResult");
    xml.time("LastModified", made.modifiedMillis()).leaf("ETag", "\"" + made.etag() + "\"");
    Checksum.write(xml, made.metadata().headers());
    call.answer(200, xml);
  }

  /** With other metadata; once more, where the source was overwritten just then. */
  private ObjectInfo copyWith(
      S3Request request,
      CopySource source,
      ReadConditions conditions,
      boolean replaces,
      boolean retags) {
    for (int tries = 1; ; tries++) {
      ObjectInfo info = source(source);
      conditions.check(info);
      var options =
          new CopyOptions(
              Optional.of(copied(request, info.metadata(), replaces, retags)),
              Conditions.write(request));
      try {
        // What was taken over is that object's: the copy must be one of it, too.
        return files.copy(
            source.bucket(),
            source.key(),
            ReadConditions.ifMatch(info.etag()),
            request.bucket(),
            request.key(),
            options);
      } catch (ForebayException refused) {
        if (refused.code() != ErrorCode.PRECONDITION_FAILED
            || tries == COPY_TRIES
            || source(source).etag().equals(info.etag())) {
          throw refused;
        }
      }
    }
  }

  private ObjectInfo source(CopySource source) {
    return files
        .stat(source.bucket(), source.key())
        .orElseThrow(
            () -> new ForebayException(ErrorCode.NOT_FOUND, "The specified key does not exist."));
  }

  private static boolean replaces(S3Request request, String directive) {
    return switch (request.header(directive).orElse("COPY")) {
      case "COPY" -> false;
      case "REPLACE" -> true;
      default ->
          throw new S3Refusal(S3Code.INVALID_ARGUMENT, directive + " must be COPY or REPLACE");
    };
  }

  /** Checksums stay with the bytes; the rest is the source's or the request's, as it says. */
  private static ObjectMetadata copied(
      S3Request request, ObjectMetadata source, boolean replaces, boolean retags) {
    ObjectMetadata asked = ObjectHeaders.metadata(request, Map.of());
    String tags = (retags ? asked : source).headers().getOrDefault(Tags.HEADER, "");
    var kept = new TreeMap<>(Checksum.among(source.headers()));
    kept.put(Tags.HEADER, tags);
    String type = source.headers().get(Checksum.TYPE);
    if (type != null) {
      kept.put(Checksum.TYPE, type);
    }
    return (replaces ? asked : source).with(kept);
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
    ObjectHeaders.refuseUnknownWishes(request);
    var _ = files.delete(request.bucket(), request.key(), Conditions.write(request));
    call.empty(204);
  }
}
