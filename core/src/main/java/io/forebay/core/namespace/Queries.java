package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectPart;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.file.UploadInfo;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.UploadId;
import io.forebay.core.namespace.FlushRecord.Target;
import io.forebay.core.namespace.Rows.Entry;
import io.forebay.core.namespace.Rows.FlushRow;
import io.forebay.core.namespace.Rows.GenerationRow;
import io.forebay.core.namespace.Rows.MadePartRow;
import io.forebay.core.namespace.Rows.PartRow;
import io.forebay.core.namespace.Rows.PoliciesRow;
import io.forebay.core.namespace.Rows.SessionRow;
import io.forebay.core.namespace.Rows.UploadRow;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Answers from a view. */
final class Queries {
  private static final int MAX_TROUBLED = 1000;

  private final SortedMap.View view;
  private final int shard;

  Queries(int shard, SortedMap.View view) {
    this.shard = shard;
    this.view = view;
  }

  record KeyedRecord(String key, FlushRecord record) {}

  NamespaceAnswer answer(NamespaceQuery query) {
    switch (query) {
      case NamespaceQuery.Stat q -> Change.requireOpen(view, q.bucket());
      case NamespaceQuery.ListObjects q -> Change.requireOpen(view, q.bucket());
      case NamespaceQuery.ListAll q -> Change.requireOpen(view, q.bucket());
      case NamespaceQuery.ListUploads q -> Change.requireOpen(view, q.bucket());
      case NamespaceQuery.FlushStatus q -> Change.requireOpen(view, q.bucket());
      case NamespaceQuery.Conflicts q -> Change.requireOpen(view, q.bucket());
      default -> {}
    }
    return switch (query) {
      case NamespaceQuery.Stat q ->
          new Tree(view)
              .file(q.bucket(), q.key())
              .<NamespaceAnswer>map(file ->
                  new NamespaceAnswer.Found(
                      head(view, q.bucket(), q.key(), file), manifest(file.generation())))
              .orElseGet(NamespaceAnswer.Absent::new);
      case NamespaceQuery.OfGeneration q -> ofGeneration(q.generation());
      case NamespaceQuery.ListObjects q -> {
        var tree = new Tree(view);
        yield list(q, tree, Begun.hidden(view, tree, q));
      }
      case NamespaceQuery.ListAll q -> {
        var tree = new Tree(view);
        yield list(
            new NamespaceQuery.ListObjects(
                q.bucket(), q.prefix(), q.delimiter(), q.startAfter(), q.max()),
            tree,
            Begun.shown(tree));
      }
      case NamespaceQuery.ListUploads q -> uploads(q);
      case NamespaceQuery.ListParts q -> parts(q);
      case NamespaceQuery.PartsOf q -> partsOf(q);
      case NamespaceQuery.ChunkStates q -> {
        checkPage(q.chunks().size(), NamespaceQuery.MAX_CHUNKS);
        yield new NamespaceAnswer.Chunks(
            Claims.states(view, q.chunks(), Change.lastId(view, shard)));
      }
      case NamespaceQuery.FlushWork q -> work(q);
      case NamespaceQuery.FlushOf q ->
          new NamespaceAnswer.OfKey(Flushes.record(view, q.bucket(), q.key()));
      case NamespaceQuery.FlushStatus q -> status(q);
      case NamespaceQuery.Conflicts q -> conflicts(q);
      case NamespaceQuery.Sessions q -> sessions();
      case NamespaceQuery.AllPolicies _ -> policies();
      case NamespaceQuery.UseOf q -> {
        Rows.UseRow use = Uses.of(view, q.bucket());
        yield new NamespaceAnswer.Use(new BucketUse(use.heldBytes(), use.quotaBytes()));
      }
    };
  }

  static void checkPage(int wanted, int most) {
    if (wanted < 1 || wanted > most) {
      throw refuse(ErrorCode.INVALID_ARGUMENT, "1 to " + most + " at once, not " + wanted);
    }
  }

  private Manifest manifest(Generation generation) {
    return Rows.get(view, Keys.of(Keys.MANIFEST, generation.value()), Manifest.class)
        .orElseThrow(() -> new IllegalStateException("no manifest of " + generation));
  }

  static ObjectHead head(SortedMap.View view, BucketId bucket, String key, Entry.File file) {
    GenerationRow row =
        Rows.get(view, Keys.of(Keys.GENERATION, file.generation().value()), GenerationRow.class)
            .orElseThrow(() -> new IllegalStateException("no row of " + file.generation()));
    Optional<FlushRecord> record = Flushes.record(view, bucket, key);
    Optional<String> storeEtag =
        record
            .filter(r -> r.target() instanceof Target.Flushed)
            .map(FlushRecord::seen)
            .filter(StoreSight.Present.class::isInstance)
            .map(seen -> ((StoreSight.Present) seen).etag());
    return new ObjectHead(
        bucket,
        key,
        file.inode(),
        file.generation(),
        row.lengthBytes(),
        row.etag(),
        row.metadata(),
        row.modifiedMillis(),
        record.map(r -> state(r, file.generation())).orElse(FlushState.CACHE_ONLY),
        storeEtag);
  }

  private static FlushState state(FlushRecord record, Generation generation) {
    return switch (record.target()) {
      case Target.Flushed flushed -> FlushState.FLUSHED;
      case Target.Put put -> waiting(record, generation);
      case Target.Delete delete -> FlushState.CACHE_ONLY;
      case Target.Gone gone -> FlushState.CACHE_ONLY;
    };
  }

  private static FlushState waiting(FlushRecord record, Generation generation) {
    if (record.conflict().isPresent()) {
      return FlushState.CONFLICT;
    }
    if (record.open().filter(open -> open.generation().equals(generation)).isPresent()) {
      return FlushState.FLUSHING;
    }
    return record.failure().isPresent() ? FlushState.FAILED : FlushState.PENDING;
  }

  private NamespaceAnswer ofGeneration(Generation generation) {
    Optional<GenerationRow> found =
        Rows.get(view, Keys.of(Keys.GENERATION, generation.value()), GenerationRow.class);
    if (found.isEmpty()) {
      return new NamespaceAnswer.Absent();
    }
    GenerationRow row = found.get();
    return new NamespaceAnswer.Found(
        new ObjectHead(
            row.bucket(),
            "",
            row.inode(),
            generation,
            row.lengthBytes(),
            row.etag(),
            row.metadata(),
            row.modifiedMillis(),
            row.clean() ? FlushState.FLUSHED : FlushState.PENDING,
            row.storeEtag()),
        manifest(generation));
  }

  /** Collects a page of keys; one more than asked for says whether there is a next one. */
  private final class Page implements Tree.Visitor {
    final NamespaceQuery.ListObjects query;
    final byte[] prefix;
    final byte[] after;
    final Tree tree;
    final Begun begun;
    final List<ObjectHead> objects = new ArrayList<>();
    final List<String> common = new ArrayList<>();
    String last = "";
    boolean more;
    int hidden;
    int chars;

    Page(NamespaceQuery.ListObjects query, Tree tree, Begun begun) {
      this.query = query;
      this.tree = tree;
      this.begun = begun;
      prefix = Keys.utf8(query.prefix());
      after = Keys.utf8(query.startAfter());
    }

    @Override
    public boolean object(byte[] path, Entry.File file) {
      if (!Keys.startsWith(path, prefix)) {
        return Arrays.compareUnsigned(path, prefix) < 0;
      }
      if (Arrays.equals(path, after)) {
        return true;
      }
      String key = Keys.text(path, 0);
      Optional<String> rolled = rolledUp(key);
      if (rolled.isPresent()) {
        return emitCommon(rolled.get());
      }
      if (full()) {
        return false;
      }
      ObjectHead head = head(view, query.bucket(), key, file);
      objects.add(head);
      chars += chars(head);
      last = key;
      return true;
    }

    @Override
    public Tree.Step directory(byte[] path, InodeId inode, boolean fromBegin) {
      if (!Keys.startsWith(path, prefix)) {
        if (Keys.startsWith(prefix, path)) {
          return Tree.Step.ENTER;
        }
        return Arrays.compareUnsigned(path, prefix) < 0 ? Tree.Step.SKIP : Tree.Step.STOP;
      }
      Optional<String> rolled = rolledUp(Keys.text(path, 0));
      if (rolled.filter(this::shown).isPresent()) {
        return Tree.Step.SKIP;
      }
      if (begun.hides(path, inode)) {
        return passOver(path);
      }
      if (rolled.isEmpty()) {
        return Tree.Step.ENTER;
      }
      // All below rolls up into this one; a directory is never empty, but what of it is shown, or
      // lies behind the bound, may be.
      if ((!fromBegin || begun.mayHideBelow(path)) && !hasObjectBehind(path)) {
        return Tree.Step.SKIP;
      }
      return emitCommon(rolled.get()) ? Tree.Step.SKIP : Tree.Step.STOP;
    }

    /** A page of which much was passed over ends: the next one goes on behind it. */
    private Tree.Step passOver(byte[] path) {
      hidden++;
      if (hidden < NamespaceQuery.MAX_HIDDEN) {
        return Tree.Step.SKIP;
      }
      last = Keys.text(path, 0);
      more = true;
      return Tree.Step.STOP;
    }

    /** Whether a directory has something to show behind the bound; looks at so much only. */
    private boolean hasObjectBehind(byte[] path) {
      var found = new boolean[1];
      tree.walk(
          query.bucket(),
          Arrays.compareUnsigned(after, path) > 0 ? after : path,
          new Tree.Visitor() {
            @Override
            public boolean object(byte[] key, Entry.File file) {
              if (Arrays.equals(key, after)) {
                return true;
              }
              found[0] = Keys.startsWith(key, path);
              return false;
            }

            @Override
            public Tree.Step directory(byte[] below, InodeId inode, boolean fromBegin) {
              if (Keys.startsWith(path, below)) {
                return Tree.Step.ENTER;
              }
              if (!Keys.startsWith(below, path)) {
                return Tree.Step.STOP;
              }
              if (!begun.hides(below, inode)) {
                return Tree.Step.ENTER;
              }
              hidden++;
              found[0] = hidden >= NamespaceQuery.MAX_HIDDEN;
              return found[0] ? Tree.Step.STOP : Tree.Step.SKIP;
            }
          });
      return found[0];
    }

    private Optional<String> rolledUp(String key) {
      if (query.delimiter().isEmpty()) {
        return Optional.empty();
      }
      int at = key.indexOf(query.delimiter(), query.prefix().length());
      return at < 0
          ? Optional.empty()
          : Optional.of(key.substring(0, at + query.delimiter().length()));
    }

    /** Whether a common prefix is on this page already, or ended the one before. */
    private boolean shown(String rolled) {
      return rolled.equals(query.startAfter())
          || (!common.isEmpty() && rolled.equals(common.getLast()));
    }

    private boolean emitCommon(String rolled) {
      if (shown(rolled)) {
        return true;
      }
      if (full()) {
        return false;
      }
      common.add(rolled);
      chars += rolled.length();
      last = rolled;
      return true;
    }

    /** A page ends early where what its keys carry would not fit into a message. */
    private boolean full() {
      more =
          objects.size() + common.size() == query.max() || chars >= NamespaceQuery.MAX_PAGE_CHARS;
      return more;
    }
  }

  private static int chars(ObjectHead head) {
    return head.key().length()
        + head.etag().length()
        + head.storeEtag().map(String::length).orElse(0)
        + head.metadata().contentType().length()
        + chars(head.metadata().headers())
        + chars(head.metadata().user());
  }

  private static int chars(Map<String, String> headers) {
    return headers.entrySet().stream()
        .mapToInt(header -> header.getKey().length() + header.getValue().length())
        .sum();
  }

  private NamespaceAnswer list(NamespaceQuery.ListObjects query, Tree tree, Begun begun) {
    checkPage(query.max(), NamespaceQuery.MAX_PAGE);
    var page = new Page(query, tree, begun);
    byte[] bound = Arrays.compareUnsigned(page.after, page.prefix) > 0 ? page.after : page.prefix;
    page.tree.walk(query.bucket(), bound, page);
    return new NamespaceAnswer.Listing(
        page.objects, page.common, page.more ? Optional.of(page.last) : Optional.empty());
  }

  private NamespaceAnswer uploads(NamespaceQuery.ListUploads q) {
    checkPage(q.max(), NamespaceQuery.MAX_PAGE);
    byte[] prefix = Keys.of(Keys.UPLOAD_OF_KEY, q.bucket().value(), Keys.utf8(q.prefix()));
    byte[] from = prefix;
    if (!q.afterKey().isEmpty()) {
      byte[] after =
          Keys.next(
              Keys.uploadOfKey(
                  q.bucket(), q.afterKey(), q.afterUpload().map(UploadId::value).orElse(-1L)));
      from = Arrays.compareUnsigned(after, prefix) > 0 ? after : prefix;
    }
    var found = new ArrayList<UploadInfo>();
    if (Arrays.compareUnsigned(from, Keys.behind(prefix)) < 0) {
      view.scan(
          from,
          Keys.behind(prefix),
          (key, value) -> {
            long id = Keys.longAt(key, key.length - 8);
            Rows.get(view, Keys.of(Keys.UPLOAD, id), UploadRow.class)
                .ifPresent(row ->
                    found.add(new UploadInfo(row.key(), new UploadId(id), row.createdMillis())));
            return found.size() <= q.max();
          });
    }
    boolean more = found.size() > q.max();
    return new NamespaceAnswer.Uploads(more ? found.subList(0, q.max()) : found, more);
  }

  private NamespaceAnswer parts(NamespaceQuery.ListParts q) {
    checkPage(q.max(), NamespaceQuery.MAX_PAGE);
    UploadRow upload =
        Rows.get(view, Keys.of(Keys.UPLOAD, q.upload().value()), UploadRow.class)
            .filter(row -> row.bucket().equals(q.bucket()) && row.key().equals(q.key()))
            .orElseThrow(() ->
                refuse(
                    ErrorCode.NO_SUCH_UPLOAD, "there is no upload " + q.upload() + " of this key"));
    var found = new ArrayList<PartInfo>();
    var headers = new ArrayList<Map<String, String>>();
    view.scan(
        Keys.part(q.upload().value(), Math.max(0, q.afterPartNumber()) + 1),
        Keys.behind(Keys.of(Keys.PART, q.upload().value())),
        (key, value) -> {
          PartRow row = RecordCodec.of(PartRow.class).decode(value);
          int number = (int) Keys.longAt(key, key.length - 8);
          found.add(new PartInfo(number, row.lengthBytes(), row.etag(), row.modifiedMillis()));
          headers.add(row.headers());
          return found.size() <= q.max();
        });
    int count = Math.min(found.size(), q.max());
    return new NamespaceAnswer.Parts(
        found.subList(0, count),
        found.size() > count,
        headers.subList(0, count),
        upload.metadata().headers());
  }

  private NamespaceAnswer partsOf(NamespaceQuery.PartsOf q) {
    checkPage(q.max(), NamespaceQuery.MAX_PAGE);
    var found = new ArrayList<ObjectPart>();
    view.scan(
        Keys.madePart(q.generation(), Math.max(0, q.afterPartNumber()) + 1),
        Keys.behind(Keys.of(Keys.MADE_PART, q.generation().value())),
        (key, value) -> {
          MadePartRow row = RecordCodec.of(MadePartRow.class).decode(value);
          int number = (int) Keys.longAt(key, key.length - 8);
          found.add(new ObjectPart(number, row.offset(), row.lengthBytes(), row.headers()));
          return found.size() <= q.max();
        });
    int count = Math.min(found.size(), q.max());
    return new NamespaceAnswer.MadeParts(found.subList(0, count), found.size() > count);
  }

  /** Flush records below a prefix and behind a key, in order. */
  static List<KeyedRecord> records(
      SortedMap.View view, BucketId bucket, String prefix, String startAfter, int max) {
    byte[] low = Keys.flush(bucket, prefix);
    byte[] after = Keys.next(Keys.flush(bucket, startAfter));
    byte[] from = Arrays.compareUnsigned(after, low) > 0 ? after : low;
    var found = new ArrayList<KeyedRecord>();
    if (Arrays.compareUnsigned(from, Keys.behind(low)) < 0) {
      view.scan(
          from,
          Keys.behind(low),
          (key, value) -> {
            found.add(
                new KeyedRecord(
                    Keys.text(key, 9), RecordCodec.of(FlushRow.class).decode(value).record()));
            return found.size() < max;
          });
    }
    return found;
  }

  private NamespaceAnswer work(NamespaceQuery.FlushWork q) {
    checkPage(q.max(), NamespaceQuery.MAX_PAGE);
    byte[] kind = Keys.kind(Keys.QUEUE);
    var items = new ArrayList<FlushItem>();
    view.scan(
        kind,
        Keys.of(Keys.QUEUE, Math.max(0, q.nowMillis()) + 1),
        (row, value) -> {
          var bucket = new BucketId(Keys.longAt(row, 9));
          if (q.without().contains(bucket)) {
            return true;
          }
          String key = Keys.text(row, 17);
          FlushRecord record = Flushes.record(view, bucket, key).orElseThrow();
          FlushKind next = Flushes.kind(view, bucket, key, record);
          boolean look =
              next == FlushKind.RESOLVE
                  || record.headNeeded()
                  || record.open().isPresent()
                  || !record.unresolved().isEmpty();
          items.add(new FlushItem(bucket, key, next, look, length(record), record));
          return items.size() < q.max();
        });
    return new NamespaceAnswer.Work(items);
  }

  private long length(FlushRecord record) {
    return record
        .generation()
        .flatMap(g -> Rows.get(view, Keys.of(Keys.GENERATION, g.value()), GenerationRow.class))
        .map(GenerationRow::lengthBytes)
        .orElse(0L);
  }

  private NamespaceAnswer status(NamespaceQuery.FlushStatus q) {
    checkPage(q.max(), NamespaceQuery.MAX_FLUSH_RECORDS);
    List<KeyedRecord> page = records(view, q.bucket(), q.prefix(), q.startAfter(), q.max() + 1);
    boolean more = page.size() > q.max();
    long flushed = 0;
    long waiting = 0;
    long bytes = 0;
    var troubled = new ArrayList<FlushEntry>();
    List<KeyedRecord> some = more ? page.subList(0, q.max()) : page;
    for (KeyedRecord keyed : some) {
      FlushRecord record = keyed.record();
      if (record.target() instanceof Target.Gone) {
        continue;
      }
      if (record.target() instanceof Target.Flushed) {
        flushed++;
        continue;
      }
      waiting++;
      bytes += length(record);
      boolean blocked = Flushes.blocked(view, q.bucket(), keyed.key(), record);
      if ((blocked || record.conflict().isPresent() || record.failure().isPresent())
          && troubled.size() < MAX_TROUBLED) {
        troubled.add(trouble(keyed.key(), record, blocked));
      }
    }
    return new NamespaceAnswer.Status(
        flushed,
        waiting,
        bytes,
        troubled,
        more ? Optional.of(some.getLast().key()) : Optional.empty());
  }

  private FlushEntry trouble(String key, FlushRecord record, boolean blocked) {
    FlushState state = waiting(record, record.generation().orElse(new Generation(0)));
    String reason =
        record
            .conflict()
            .map(FlushRecord.Conflict::reason)
            .or(() -> record.failure().map(f -> f.code() + ": " + f.message()))
            .orElse("other objects that are not flushed yet have their bytes in this store object");
    return new FlushEntry(key, record.generation(), length(record), state, blocked, reason);
  }

  private NamespaceAnswer conflicts(NamespaceQuery.Conflicts q) {
    checkPage(q.max(), NamespaceQuery.MAX_PAGE);
    var found = new ArrayList<ConflictEntry>();
    byte[] low = Keys.flush(q.bucket(), "");
    view.scan(
        Keys.next(Keys.flush(q.bucket(), q.startAfter())),
        Keys.behind(low),
        (key, value) -> {
          FlushRecord record = RecordCodec.of(FlushRow.class).decode(value).record();
          record
              .conflict()
              .ifPresent(conflict ->
                  found.add(
                      new ConflictEntry(
                          Keys.text(key, 9), record.generation(), length(record), conflict)));
          return found.size() <= q.max();
        });
    boolean more = found.size() > q.max();
    List<ConflictEntry> page = more ? found.subList(0, q.max()) : found;
    return new NamespaceAnswer.Conflicting(
        page, more ? Optional.of(page.getLast().key()) : Optional.empty());
  }

  /** The policies of one bucket. */
  static List<PrefixPolicy> policies(SortedMap.View view, BucketId bucket) {
    return Rows.get(view, Keys.of(Keys.POLICIES, bucket.value()), PoliciesRow.class)
        .map(PoliciesRow::policies)
        .orElse(List.of());
  }

  private NamespaceAnswer policies() {
    byte[] kind = Keys.kind(Keys.POLICIES);
    var found = new ArrayList<BucketPolicies>();
    view.scan(
        kind,
        Keys.behind(kind),
        (key, value) -> {
          found.add(
              new BucketPolicies(
                  new BucketId(Keys.longAt(key, 1)),
                  RecordCodec.of(PoliciesRow.class).decode(value).policies()));
          return true;
        });
    return new NamespaceAnswer.Policies(found);
  }

  private NamespaceAnswer sessions() {
    byte[] kind = Keys.kind(Keys.SESSION);
    var found = new ArrayList<SessionEntry>();
    view.scan(
        kind,
        Keys.behind(kind),
        (key, value) -> {
          SessionRow row = RecordCodec.of(SessionRow.class).decode(value);
          found.add(
              new SessionEntry(
                  new SessionId(Keys.longAt(key, 1)),
                  row.node(),
                  row.openedMillis(),
                  row.lowWater(),
                  row.answeredBelow()));
          return true;
        });
    return new NamespaceAnswer.OpenSessions(found);
  }
}
