package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.DoorHeaders;
import io.forebay.core.file.EntityTag;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.namespace.Rows.Entry;
import io.forebay.core.namespace.Rows.GenerationRow;
import io.forebay.core.namespace.Rows.SessionRow;
import io.forebay.core.rule.Level;
import io.forebay.core.rule.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** Publishes, deletes, copies and renames. */
final class Objects {
  /** Most objects below a prefix that one command moves or deletes one by one. */
  static final int MAX_AT_ONCE = 10_000;

  private static final int MAX_KEYS = 1000;

  private final Change change;
  private final Flushes flushes;

  Objects(Change change, Flushes flushes) {
    this.change = change;
    this.flushes = flushes;
  }

  NamespaceResult publish(NamespaceCommand.Publish c) {
    return once(
        c.session(),
        c.publishSequence(),
        session -> {
          change.checkNewKey(c.key());
          change.bucketForWriting(c.bucket());
          Optional<ObjectHead> present = change.head(c.bucket(), c.key());
          change.check(c.conditions(), present);
          checkManifest(c.manifest(), c.lengthBytes(), c.session(), session);
          return new NamespaceResult.Published(
              add(
                  c.bucket(),
                  c.key(),
                  present,
                  Optional.empty(),
                  c.lengthBytes(),
                  generation ->
                      c.etag()
                          .orElseGet(
                              () -> EntityTag.opaque(generation, c.lengthBytes(), c.crc32c(), 1)),
                  c.metadata(),
                  change.now,
                  c.manifest(),
                  c.policy()));
        });
  }

  /** Applies once per (session, sequence); a repetition gets the first answer (rule G2). */
  NamespaceResult once(
      SessionId session, long sequence, Function<SessionRow, NamespaceResult> body) {
    SessionRow row = change.session(session);
    byte[] key = Keys.answer(session, sequence);
    Optional<NamespaceResult> before = Rows.get(change.out, key, NamespaceResult.class);
    if (before.isPresent() && Rule.G2.holds()) {
      return before.get();
    }
    if (sequence < row.answeredBelow() || sequence < 1) {
      throw refuse(
          ErrorCode.INVALID_ARGUMENT, "publish sequence " + sequence + " was answered before");
    }
    NamespaceResult result = body.apply(row);
    change.out.put(key, Rows.bytes(NamespaceResult.class, result));
    return result;
  }

  /** Rule G3, and the bounds of what a writer may send. */
  void checkManifest(Manifest manifest, long lengthBytes, SessionId session, SessionRow row) {
    boolean fits =
        switch (manifest) {
          case Manifest.Inline inline -> inline.body().length <= Manifest.MAX_INLINE_BYTES;
          case Manifest.Extents list ->
              RecordCodec.of(Manifest.Extents.class).encode(list).length
                  <= Manifest.MAX_EXTENTS_BYTES;
          case Manifest.InChunk hidden -> true;
          case Manifest.Stored stored -> false;
          case Manifest.None none -> false;
          case Manifest.Joined joined -> false;
        };
    if (!fits) {
      throw refuse(
          ErrorCode.INVALID_ARGUMENT,
          "a publish carries at most "
              + Manifest.MAX_INLINE_BYTES
              + " bytes of body or "
              + Manifest.MAX_EXTENTS_BYTES
              + " bytes of extents, and no store references");
    }
    if (manifest.lengthBytes() != lengthBytes) {
      throw refuse(
          ErrorCode.INVALID_ARGUMENT,
          "the manifest describes " + manifest.lengthBytes() + " bytes, not " + lengthBytes);
    }
    List<ChunkRange> notOwed = Claims.notOwed(change.out, session, row.lowWater(), manifest);
    if (!notOwed.isEmpty() && Rule.G3.holds()) {
      throw new Rows.Refusal(new NamespaceResult.NotOwed(notOwed));
    }
  }

  /** Makes a new generation visible in place of the present one. */
  ObjectHead add(
      BucketId bucket,
      String key,
      Optional<ObjectHead> present,
      Optional<InodeId> moved,
      long lengthBytes,
      Function<Generation, String> etag,
      ObjectMetadata metadata,
      long modifiedMillis,
      Manifest manifest,
      FlushPolicy policy) {
    if (!policy.flushes() && !Stores.refs(manifest).isEmpty()) {
      throw refuse(
          ErrorCode.NOT_IMPLEMENTED,
          "the source lies in the store only, and the target is never flushed: copy the bytes");
    }
    change.bucketForWriting(bucket);
    present.ifPresent(head -> change.supersede(head.generation(), policy));
    var generation = new Generation(change.nextId());
    InodeId inode =
        moved
            .or(() -> present.map(ObjectHead::inode))
            .orElseGet(() -> new InodeId(change.nextId()));
    var file = new Entry.File(inode, generation);
    long heldBytes = Uses.heldBytes(manifest);
    change.uses.add(bucket, generation.value(), heldBytes);
    change.putEntry(bucket, key, file);
    change.putGeneration(
        generation,
        new GenerationRow(
            bucket,
            inode,
            lengthBytes,
            etag.apply(generation),
            metadata,
            modifiedMillis,
            false,
            Optional.empty(),
            heldBytes));
    change.putManifest(generation.value(), manifest);
    Claims.put(change.out, generation.value(), manifest);
    flushes.addSources(generation.value(), manifest);
    flushes.published(bucket, key, generation, policy);
    return Queries.head(change.out, bucket, key, file);
  }

  private void requireOpen(BucketId bucket) {
    if (change.isAt(Level.SEEN)) {
      Change.requireOpen(change.out, bucket);
    }
  }

  NamespaceResult delete(NamespaceCommand.Delete c) {
    Change.checkKey(c.key());
    return new NamespaceResult.Deleted(delete(c.bucket(), c.key(), c.conditions(), c.policy()));
  }

  private boolean delete(
      BucketId bucket, String key, Preconditions conditions, FlushPolicy policy) {
    Optional<ObjectHead> present = change.head(bucket, key);
    requireOpen(bucket);
    change.check(conditions, present);
    if (present.isEmpty()) {
      return false;
    }
    change.removeEntry(bucket, key);
    change.supersede(present.get().generation(), policy);
    flushes.deleted(bucket, key, policy);
    return true;
  }

  NamespaceResult deleteMany(NamespaceCommand.DeleteMany c) {
    if (c.keys().size() > MAX_KEYS) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "at most " + MAX_KEYS + " keys at once");
    }
    var answers = new ArrayList<NamespaceResult.DeletedMany.OneDeleted>();
    for (String key : c.keys()) {
      try {
        Change.checkKey(key);
        boolean existed = delete(c.bucket(), key, Preconditions.NONE, c.policy());
        answers.add(new NamespaceResult.DeletedMany.OneDeleted(key, existed, Optional.empty()));
      } catch (Rows.Refusal refusal) { // before anything of this key was changed
        answers.add(
            new NamespaceResult.DeletedMany.OneDeleted(
                key, false, Optional.of((NamespaceResult.Refused) refusal.result())));
      }
    }
    return new NamespaceResult.DeletedMany(answers);
  }

  NamespaceResult copy(NamespaceCommand.Copy c) {
    change.checkNewKey(c.key());
    ObjectHead source = source(c.sourceBucket(), c.sourceKey(), c.sourceGeneration());
    Optional<ObjectHead> present = change.head(c.bucket(), c.key());
    change.check(c.conditions(), present);
    Manifest manifest = taken(source);
    present
        .map(ObjectHead::generation)
        .filter(source.generation()::equals)
        .ifPresent(change::uncount);
    return new NamespaceResult.Published(
        add(
            c.bucket(),
            c.key(),
            present,
            Optional.empty(),
            source.lengthBytes(),
            generation -> source.etag(),
            c.metadata().orElse(source.metadata()),
            change.now,
            manifest,
            c.policy()));
  }

  /** The generation stays, and with it its time, its ETag and what the store has. */
  NamespaceResult changeHeaders(NamespaceCommand.ChangeHeaders c) {
    requireOpen(c.bucket());
    try {
      DoorHeaders.check(c.headers());
    } catch (ForebayException illegal) {
      throw refuse(illegal.code(), String.valueOf(illegal.getMessage()));
    }
    ObjectHead head =
        change
            .head(c.bucket(), c.key())
            .orElseThrow(() -> refuse(ErrorCode.NOT_FOUND, "there is no such object"));
    GenerationRow row = change.generation(head.generation());
    change.putGeneration(head.generation(), row.with(row.metadata().with(c.headers())));
    return new NamespaceResult.Published(change.head(c.bucket(), c.key()).orElseThrow());
  }

  ObjectHead source(BucketId bucket, String key, Optional<Generation> wanted) {
    ObjectHead source =
        change
            .head(bucket, key)
            .orElseThrow(() -> refuse(ErrorCode.NOT_FOUND, "the source does not exist"));
    if (wanted.isPresent() && !wanted.get().equals(source.generation())) {
      throw refuse(ErrorCode.CONCURRENT_CHANGE, "the source has another generation by now");
    }
    return source;
  }

  /**
   * What a new generation takes over from a live one (R13, G3): its chunks while it owes them, else
   * a reference to the store object that is recorded and undisturbed.
   */
  Manifest taken(ObjectHead source) {
    GenerationRow row = change.generation(source.generation());
    Manifest manifest = change.manifest(source.generation().value());
    if (!row.clean() || !Rule.R13.holds()) {
      checkUndisturbed(manifest);
      return manifest;
    }
    Optional<FlushRecord> record = Flushes.record(change.out, source.bucket(), source.key());
    if (record.filter(FlushRecord::settled).isEmpty()) {
      throw undecided();
    }
    return Stores.taken(manifest, source.bucket(), source.key(), row.storeEtag().orElseThrow());
  }

  /**
   * A generation that refers to the object under its own key replaces it with its own flush, and
   * only its own references follow: whoever took them over meanwhile would have lost its bytes.
   */
  private void checkUndisturbed(Manifest manifest) {
    for (StoreRef ref : Stores.refs(manifest)) {
      boolean disturbed =
          Flushes.record(change.out, ref.bucket(), ref.key())
              .filter(record -> record.open().isPresent() || !record.unresolved().isEmpty())
              .isPresent();
      if (disturbed && Rule.G3_REFERENCE.holds()) {
        throw undecided();
      }
    }
  }

  private static Rows.Refusal undecided() {
    return refuse(ErrorCode.CONCURRENT_CHANGE, "the source's store object is undecided");
  }

  NamespaceResult rename(NamespaceCommand.Rename c) {
    requireOpen(c.bucket());
    Change.checkKey(c.from());
    change.checkNewKey(c.to());
    boolean prefix = c.from().endsWith("/");
    if (prefix != c.to().endsWith("/")) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "only one of the two is a prefix");
    }
    return new NamespaceResult.Renamed(prefix ? renamePrefix(c) : renameObject(c));
  }

  private int renameObject(NamespaceCommand.Rename c) {
    move(c.bucket(), c.from(), c.to(), c.policy());
    return 1;
  }

  private void move(BucketId bucket, String from, String to, FlushPolicy policy) {
    ObjectHead source = source(bucket, from, Optional.empty());
    if (from.equals(to)) {
      return;
    }
    Manifest manifest = taken(source);
    Optional<ObjectHead> present = change.head(bucket, to);
    change.removeEntry(bucket, from);
    change.supersede(source.generation(), policy);
    change.uncount(source.generation());
    add(
        bucket,
        to,
        present,
        Optional.of(source.inode()),
        source.lengthBytes(),
        generation -> source.etag(),
        source.metadata(),
        source.modifiedMillis(),
        manifest,
        policy);
    flushes.deleted(bucket, from, policy); // waits for the new place when that refers to it (F6)
  }

  private int renamePrefix(NamespaceCommand.Rename c) {
    InodeId directory =
        change
            .tree
            .directory(c.bucket(), Keys.utf8(c.from()))
            .orElseThrow(() -> refuse(ErrorCode.NOT_FOUND, "there is nothing below the prefix"));
    if (c.from().equals(c.to())) {
      return 0;
    }
    if (c.from().startsWith(c.to()) || c.to().startsWith(c.from())) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "one of the two prefixes lies in the other");
    }
    if (change.tree.directory(c.bucket(), Keys.utf8(c.to())).isPresent()) {
      throw refuse(ErrorCode.PRECONDITION_FAILED, "the target prefix is not empty");
    }
    boolean known = !Queries.records(change.out, c.bucket(), c.from(), "", 1).isEmpty();
    if (!known && !c.policy().flushes()) {
      change.bucketForWriting(c.bucket());
      change.removeDirectoryEntry(c.bucket(), c.from());
      change.putEntry(c.bucket(), c.to(), new Entry.Directory(directory));
      return 0;
    }
    List<String> keys = below(c.bucket(), c.from());
    if (keys.size() > MAX_AT_ONCE) {
      throw refuse(
          ErrorCode.NOT_IMPLEMENTED,
          "a prefix of more than " + MAX_AT_ONCE + " objects that go to a store is not renamed");
    }
    for (String key : keys) {
      String to = c.to() + key.substring(c.from().length());
      change.checkNewKey(to);
      move(c.bucket(), key, to, c.policy());
    }
    return keys.size();
  }

  /** Keys of a prefix, in order; one more than {@link #MAX_AT_ONCE} says that there are more. */
  private List<String> below(BucketId bucket, String path) {
    byte[] prefix = Keys.utf8(path);
    var keys = new ArrayList<String>();
    change.tree.walk(
        bucket,
        prefix,
        new Tree.Visitor() {
          @Override
          public boolean object(byte[] found, Entry.File file) {
            if (!Keys.startsWith(found, prefix) || keys.size() > MAX_AT_ONCE) {
              return false;
            }
            keys.add(Keys.text(found, 0));
            return true;
          }

          @Override
          public Tree.Step directory(byte[] found, InodeId inode, boolean fromBegin) {
            return Keys.startsWith(found, prefix) || Keys.startsWith(prefix, found)
                ? Tree.Step.ENTER
                : Tree.Step.STOP;
          }
        });
    return keys;
  }

  /** What is deleted here was never on its way to a store: no deletion has to follow it there. */
  NamespaceResult letGo(NamespaceCommand.LetGo c) {
    Change.checkKey(c.path());
    if (!c.path().startsWith(c.by().prefix())
        || !Queries.policies(change.out, c.bucket()).contains(c.by())) {
      throw refuse(ErrorCode.CONCURRENT_CHANGE, "the policy is not in force: '" + c.path() + "'");
    }
    List<String> keys = c.path().endsWith("/") ? below(c.bucket(), c.path()) : List.of(c.path());
    if (keys.size() > MAX_AT_ONCE) {
      throw refuse(
          ErrorCode.NOT_IMPLEMENTED,
          "'" + c.path() + "' holds more than " + MAX_AT_ONCE + " objects: they stay");
    }
    int count = 0;
    for (String key : keys) {
      Optional<ObjectHead> head = change.head(c.bucket(), key);
      if (head.isEmpty()) {
        continue;
      }
      if (head.get().generation().value() > c.upTo().value()) {
        throw refuse(ErrorCode.CONCURRENT_CHANGE, "'" + key + "' was published meanwhile");
      }
      if (Flushes.record(change.out, c.bucket(), key).isPresent()) {
        throw refuse(
            ErrorCode.CONCURRENT_CHANGE, "the store has '" + key + "', is to get or to lose it");
      }
      change.removeEntry(c.bucket(), key);
      change.supersede(head.get().generation(), c.policy());
      count++;
    }
    return new NamespaceResult.Expired(count, false);
  }

  /** A generation is owed until it is clean, so whether it is flushed can be said late. */
  NamespaceResult flushHeld(NamespaceCommand.FlushHeld c) {
    if (c.keys().size() > MAX_KEYS || !c.policy().flushes()) {
      throw refuse(
          ErrorCode.INVALID_ARGUMENT,
          "at most " + MAX_KEYS + " keys at once, under a policy that flushes");
    }
    change.bucketForWriting(c.bucket());
    for (String key : c.keys()) {
      Optional<ObjectHead> head = change.head(c.bucket(), key);
      if (head.isPresent() && head.get().generation().value() <= c.upTo().value()) {
        Generation held = head.get().generation();
        boolean known =
            Flushes.record(change.out, c.bucket(), key)
                .flatMap(FlushRecord::generation)
                .filter(held::equals)
                .isPresent();
        if (!known) {
          flushes.published(c.bucket(), key, held, c.policy());
        }
      }
    }
    return new NamespaceResult.Done();
  }
}
