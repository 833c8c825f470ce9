package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.EntityTag;
import io.forebay.core.file.PartInfo;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.UploadId;
import io.forebay.core.namespace.Manifest.Segment;
import io.forebay.core.namespace.Rows.CompletedRow;
import io.forebay.core.namespace.Rows.MadePartRow;
import io.forebay.core.namespace.Rows.PartRow;
import io.forebay.core.namespace.Rows.UploadRow;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;

/** Multipart uploads. Parts claim chunks like generations do (rule G7), under ids of their own. */
final class Uploads {
  /** How long a completion is remembered. */
  static final long REMEMBER_MILLIS = 24L * 60 * 60 * 1000;

  private static final Pattern MD5 = Pattern.compile("[0-9a-f]{32}");

  private final Change change;
  private final Flushes flushes;
  private final Objects objects;

  Uploads(Change change, Flushes flushes, Objects objects) {
    this.change = change;
    this.flushes = flushes;
    this.objects = objects;
  }

  NamespaceResult create(NamespaceCommand.CreateUpload c) {
    change.checkNewKey(c.key());
    change.bucketForWriting(c.bucket());
    long id = change.nextId();
    long expires = change.now + c.lifetimeMillis();
    change.out.put(
        Keys.of(Keys.UPLOAD, id),
        Rows.bytes(
            UploadRow.class,
            new UploadRow(c.bucket(), c.key(), c.metadata(), change.now, expires)));
    change.out.put(Keys.uploadOfKey(c.bucket(), c.key(), id), Keys.NOTHING);
    change.expireAt(expires, Change.EXPIRES_UPLOAD, id);
    return new NamespaceResult.UploadCreated(new UploadId(id));
  }

  private UploadRow open(BucketId bucket, String key, UploadId upload) {
    return Rows.get(change.out, Keys.of(Keys.UPLOAD, upload.value()), UploadRow.class)
        .filter(row -> row.bucket().equals(bucket) && row.key().equals(key))
        .orElseThrow(() ->
            refuse(ErrorCode.NO_SUCH_UPLOAD, "there is no upload " + upload + " of this key"));
  }

  private static void checkNumber(int number) {
    if (number < 1 || number > PartInfo.MAX_NUMBER) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "part numbers are 1 to " + PartInfo.MAX_NUMBER);
    }
  }

  NamespaceResult put(NamespaceCommand.PutPart c) {
    return objects.once(
        c.session(),
        c.publishSequence(),
        session -> {
          open(c.bucket(), c.key(), c.upload());
          checkNumber(c.partNumber());
          objects.checkManifest(c.manifest(), c.lengthBytes(), c.session(), session);
          long owner = change.nextId();
          String etag =
              c.etag()
                  .orElseGet(() ->
                      EntityTag.opaque(new Generation(owner), c.lengthBytes(), c.crc32c(), 1));
          return log(
              c.bucket(),
              c.upload(),
              c.partNumber(),
              new PartRow(
                  owner,
                  c.lengthBytes(),
                  etag,
                  change.now,
                  c.headers(),
                  Uses.heldBytes(c.manifest())),
              c.manifest());
        });
  }

  NamespaceResult copy(NamespaceCommand.PutPartCopy c) {
    open(c.bucket(), c.key(), c.upload());
    checkNumber(c.partNumber());
    ObjectHead source = objects.source(c.sourceBucket(), c.sourceKey(), c.sourceGeneration());
    long length = c.lengthBytes() < 0 ? source.lengthBytes() - c.offset() : c.lengthBytes();
    if (c.offset() < 0 || length < 0 || c.offset() > source.lengthBytes() - length) {
      throw refuse(
          ErrorCode.RANGE_NOT_SATISFIABLE, "the source has " + source.lengthBytes() + " bytes");
    }
    long owner = change.nextId();
    boolean whole = length == source.lengthBytes();
    String etag =
        whole
            ? source.etag()
            : EntityTag.opaque(new Generation(owner), length, (int) c.offset(), 1);
    Manifest taken = objects.taken(source);
    Manifest manifest =
        change.isAt(Level.BOUNDED)
            ? Stores.stretch(taken, c.offset(), length)
            : Stores.window(taken, c.offset(), length);
    return log(
        c.bucket(),
        c.upload(),
        c.partNumber(),
        new PartRow(
            owner, length, etag, change.now, Collections.emptyMap(), Uses.heldBytes(manifest)),
        manifest);
  }

  private NamespaceResult log(
      BucketId bucket, UploadId upload, int number, PartRow part, Manifest manifest) {
    byte[] key = Keys.part(upload.value(), number);
    Rows.get(change.out, key, PartRow.class).ifPresent(old -> drop(bucket, old));
    change.uses.add(bucket, part.owner(), part.heldBytes());
    change.out.put(key, Rows.bytes(PartRow.class, part));
    change.putManifest(part.owner(), manifest);
    if (Rule.G7.holds()) {
      Claims.put(change.out, part.owner(), manifest);
    }
    flushes.addSources(part.owner(), manifest);
    return new NamespaceResult.PartLogged(
        new PartInfo(number, part.lengthBytes(), part.etag(), part.modifiedMillis()));
  }

  private void drop(BucketId bucket, PartRow part) {
    change.uses.add(bucket, part.owner(), -part.heldBytes());
    Manifest manifest = change.manifest(part.owner());
    Claims.remove(change.out, part.owner(), manifest);
    flushes.removeSources(part.owner(), manifest);
    change.out.remove(Keys.of(Keys.MANIFEST, part.owner()));
  }

  NamespaceResult complete(NamespaceCommand.CompleteUpload c) {
    byte[] completedKey = Keys.of(Keys.COMPLETED, c.upload().value());
    Optional<CompletedRow> before = Rows.get(change.out, completedKey, CompletedRow.class);
    if (before.isPresent()) {
      return change
          .head(c.bucket(), c.key())
          .filter(head -> before.get().bucket().equals(c.bucket()))
          .filter(head -> head.generation().equals(before.get().generation()))
          .map(NamespaceResult.Published::new)
          .orElseThrow(() ->
              refuse(
                  ErrorCode.NO_SUCH_UPLOAD,
                  "upload " + c.upload() + " was completed, and its object replaced since"));
    }
    UploadRow upload = open(c.bucket(), c.key(), c.upload());
    List<PartRow> parts = parts(c);
    Optional<ObjectHead> present = change.head(c.bucket(), c.key());
    change.check(c.conditions(), present);
    var segments = new ArrayList<Segment>();
    long length = 0;
    long manifestBytes = 0;
    for (PartRow part : parts) {
      length += part.lengthBytes();
      if (part.lengthBytes() > 0) {
        manifestBytes += change.manifestBytes(part.owner()) + 2 * Long.BYTES; // of its segment
        change.checkFits(manifestBytes);
        segments.addAll(change.manifest(part.owner()).window(0, part.lengthBytes()));
      }
    }
    if (c.expectedLengthBytes() >= 0 && c.expectedLengthBytes() != length) {
      throw refuse(
          ErrorCode.INVALID_ARGUMENT,
          "the parts have " + length + " bytes, not " + c.expectedLengthBytes());
    }
    long total = length;
    ObjectHead head =
        objects.add(
            c.bucket(),
            c.key(),
            present,
            Optional.empty(),
            total,
            generation -> etag(generation, total, parts),
            upload.metadata().with(c.headers()),
            change.now,
            segments.isEmpty() ? new Manifest.Inline(new byte[0]) : new Manifest.Joined(segments),
            c.policy());
    long offset = 0;
    for (int i = 0; i < parts.size(); i++) {
      PartRow part = parts.get(i);
      change.out.put(
          Keys.madePart(head.generation(), c.parts().get(i).number()),
          Rows.bytes(
              MadePartRow.class, new MadePartRow(offset, part.lengthBytes(), part.headers())));
      offset += part.lengthBytes();
    }
    remove(c.upload().value(), upload);
    change.out.put(
        completedKey,
        Rows.bytes(CompletedRow.class, new CompletedRow(c.bucket(), c.key(), head.generation())));
    change.expireAt(change.now + REMEMBER_MILLIS, Change.EXPIRES_COMPLETED, c.upload().value());
    return new NamespaceResult.Published(head);
  }

  private List<PartRow> parts(NamespaceCommand.CompleteUpload c) {
    if (c.parts().isEmpty()) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "a completion names at least one part");
    }
    var parts = new ArrayList<PartRow>();
    int last = 0;
    for (CompletedPart named : c.parts()) {
      if (named.number() <= last) {
        throw refuse(ErrorCode.INVALID_PART_ORDER, "parts must be named in ascending order");
      }
      last = named.number();
      parts.add(
          Rows.get(change.out, Keys.part(c.upload().value(), last), PartRow.class)
              .filter(part -> part.etag().equals(unquoted(named.etag())))
              .orElseThrow(() ->
                  refuse(
                      ErrorCode.INVALID_PART,
                      "part " + named.number() + " is absent or has another ETag")));
    }
    for (int i = 0; i + 1 < parts.size(); i++) {
      if (parts.get(i).lengthBytes() < PartInfo.MIN_BYTES) {
        throw refuse(
            ErrorCode.PART_TOO_SMALL,
            "part "
                + c.parts().get(i).number()
                + " has "
                + parts.get(i).lengthBytes()
                + " bytes; every part but the last needs "
                + PartInfo.MIN_BYTES);
      }
    }
    return parts;
  }

  private static String unquoted(String etag) {
    return etag.length() >= 2 && etag.startsWith("\"") && etag.endsWith("\"")
        ? etag.substring(1, etag.length() - 1)
        : etag;
  }

  /** As S3 makes it of parts that have MD5s; else the form without an MD5. */
  private static String etag(Generation generation, long lengthBytes, List<PartRow> parts) {
    if (parts.stream().allMatch(part -> MD5.matcher(part.etag()).matches())) {
      try {
        MessageDigest digest = MessageDigest.getInstance("MD5");
        parts.forEach(part -> digest.update(HexFormat.of().parseHex(part.etag())));
        return HexFormat.of().formatHex(digest.digest()) + "-" + parts.size();
      } catch (NoSuchAlgorithmException never) {
        throw new IllegalStateException("every JDK has MD5", never);
      }
    }
    var crc = new CRC32C();
    parts.forEach(part -> crc.update(Keys.utf8(part.etag())));
    return EntityTag.opaque(generation, lengthBytes, (int) crc.getValue(), parts.size());
  }

  NamespaceResult abort(NamespaceCommand.AbortUpload c) {
    remove(c.upload().value(), open(c.bucket(), c.key(), c.upload()));
    return new NamespaceResult.Done();
  }

  /** Drops an upload with its parts. */
  void remove(long id, UploadRow upload) {
    byte[] prefix = Keys.of(Keys.PART, id);
    var keys = new ArrayList<byte[]>();
    change.out.scan(
        prefix,
        Keys.behind(prefix),
        (key, value) -> {
          keys.add(key);
          return true;
        });
    for (byte[] key : keys) {
      Rows.get(change.out, key, PartRow.class).ifPresent(part -> drop(upload.bucket(), part));
      change.out.remove(key);
    }
    change.out.remove(Keys.of(Keys.UPLOAD, id));
    change.out.remove(Keys.uploadOfKey(upload.bucket(), upload.key(), id));
    change.out.remove(Keys.expiry(upload.expiresMillis(), Change.EXPIRES_UPLOAD, id));
  }

  void abortAll(BucketId bucket) {
    byte[] prefix = Keys.of(Keys.UPLOAD_OF_KEY, bucket.value());
    var ids = new ArrayList<Long>();
    change.out.scan(
        prefix,
        Keys.behind(prefix),
        (key, value) -> {
          ids.add(Keys.longAt(key, key.length - 8));
          return true;
        });
    for (long id : ids) {
      Rows.get(change.out, Keys.of(Keys.UPLOAD, id), UploadRow.class)
          .ifPresent(row -> remove(id, row));
    }
  }
}
