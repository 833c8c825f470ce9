package io.forebay.core.namespace;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.FlushMode;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.Generation;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A machine on a map, with an index and a wall clock that only tests move. */
final class Shard {
  static final BucketId BUCKET = new BucketId(1);
  static final NodeId NODE = new NodeId("n1");
  static final FlushPolicy BACK = new FlushPolicy(FlushMode.BACK, 0, 1000);
  static final FlushPolicy CACHE_ONLY = new FlushPolicy(FlushMode.CACHE_ONLY, 0, 1000);
  static final long LEASE = 100;
  static final long LANDING = 50;

  final SortedMap map;
  NamespaceMachine machine = new NamespaceMachine(0);
  long index = 1;
  long now = 1_000_000;
  int level = Level.NEWEST;
  private long sequence = 1;

  Shard() {
    this(new MemorySortedMap());
  }

  Shard(SortedMap map) {
    this.map = map;
  }

  NamespaceResult apply(NamespaceCommand command) {
    var batch = new Batch();
    NamespaceResult result;
    try (SortedMap.View view = map.view()) {
      result = machine.apply(index++, now, level, command, batch, view);
    }
    if (result instanceof NamespaceResult.Refused || result instanceof NamespaceResult.NotOwed) {
      assertThat(batch.changes()).isEmpty();
    }
    map.write(batch);
    return result;
  }

  void raise(int before, int level) {
    var batch = new Batch();
    try (SortedMap.View view = map.view()) {
      machine.raise(before, level, batch, view);
    }
    map.write(batch);
    this.level = level;
  }

  BucketUse use() {
    return ((NamespaceAnswer.Use) query(new NamespaceQuery.UseOf(BUCKET))).use();
  }

  /** What the bucket's use is by its rows, one by one. */
  long heldByRows() {
    var held = new long[1];
    try (SortedMap.View view = map.view()) {
      byte[] generations = Keys.kind(Keys.GENERATION);
      view.scan(
          generations,
          Keys.behind(generations),
          (key, value) -> {
            held[0] += RecordCodec.of(Rows.GenerationRow.class).decode(value).heldBytes();
            return true;
          });
      byte[] parts = Keys.kind(Keys.PART);
      view.scan(
          parts,
          Keys.behind(parts),
          (key, value) -> {
            held[0] += RecordCodec.of(Rows.PartRow.class).decode(value).heldBytes();
            return true;
          });
    }
    return held[0];
  }

  NamespaceAnswer query(NamespaceQuery query) {
    try (SortedMap.View view = map.view()) {
      return machine.query(view, query);
    }
  }

  <R extends NamespaceResult> R apply(NamespaceCommand command, Class<R> type) {
    NamespaceResult result = apply(command);
    assertThat(result).isInstanceOf(type);
    return type.cast(result);
  }

  void refuses(NamespaceCommand command, ErrorCode code) {
    assertThat(apply(command, NamespaceResult.Refused.class).code()).isEqualTo(code);
  }

  SessionId session() {
    return apply(new NamespaceCommand.OpenSession(NODE), NamespaceResult.SessionOpened.class)
        .session();
  }

  static Manifest chunks(SessionId session, long from, long to) {
    var extents = new ArrayList<Extent>();
    for (long s = from; s < to; s++) {
      extents.add(
          new Extent(
              (s - from) * 10,
              10,
              new ChunkId(session, s),
              0,
              new GroupId(1),
              new Epoch(1),
              (int) s));
    }
    return new Manifest.Extents(extents);
  }

  NamespaceCommand.Publish publishing(
      SessionId session, String key, Manifest manifest, FlushPolicy policy) {
    return new NamespaceCommand.Publish(
        session,
        sequence++,
        BUCKET,
        key,
        manifest.lengthBytes(),
        Optional.empty(),
        7,
        ObjectMetadata.NONE,
        manifest,
        Preconditions.NONE,
        policy);
  }

  ObjectHead publish(SessionId session, String key, Manifest manifest, FlushPolicy policy) {
    return apply(publishing(session, key, manifest, policy), NamespaceResult.Published.class)
        .object();
  }

  ChunkState state(SessionId session, long sequence) {
    var answer =
        (NamespaceAnswer.Chunks)
            query(new NamespaceQuery.ChunkStates(List.of(new ChunkId(session, sequence))));
    return answer.states().getFirst();
  }

  void close(SessionId session) {
    apply(new NamespaceCommand.CloseSession(session), NamespaceResult.Done.class);
  }

  Optional<ObjectHead> stat(String key) {
    return query(new NamespaceQuery.Stat(BUCKET, key)) instanceof NamespaceAnswer.Found found
        ? Optional.of(found.object())
        : Optional.empty();
  }

  Manifest manifest(String key) {
    return ((NamespaceAnswer.Found) query(new NamespaceQuery.Stat(BUCKET, key))).manifest();
  }

  boolean delete(String key) {
    return apply(
            new NamespaceCommand.Delete(BUCKET, key, Preconditions.NONE, BACK),
            NamespaceResult.Deleted.class)
        .existed();
  }

  FlushRecord record(String key) {
    return recordOf(key).orElseThrow();
  }

  Optional<FlushRecord> recordOf(String key) {
    return ((NamespaceAnswer.OfKey) query(new NamespaceQuery.FlushOf(BUCKET, key))).record();
  }

  NamespaceCommand.FlushBegin beginning(String key, Optional<StoreHead> head) {
    return new NamespaceCommand.FlushBegin(
        BUCKET, key, NODE, record(key).version(), head, LEASE, LANDING);
  }

  FlushTask begin(String key) {
    return apply(beginning(key, Optional.empty()), NamespaceResult.FlushStarted.class).task();
  }

  void end(String key, long attempt, String etag) {
    apply(new NamespaceCommand.FlushEnd(BUCKET, key, attempt, etag), NamespaceResult.Done.class);
  }

  void flush(String key, String etag) {
    end(key, begin(key).attempt(), etag);
  }

  void unresolved(String key, long attempt) {
    apply(
        new NamespaceCommand.FlushUnresolved(BUCKET, key, attempt, ErrorCode.TIMEOUT, "lost", now),
        NamespaceResult.Done.class);
  }

  NamespaceResult resolve(String key, StoreHead head) {
    return apply(new NamespaceCommand.FlushResolve(BUCKET, key, record(key).version(), head, now));
  }

  static StoreHead found(String etag, Generation generation, long attempt) {
    return new StoreHead.Found(etag, 10, Optional.of(new StoreHead.Stamp(generation, attempt)));
  }

  static StoreHead foreign(String etag) {
    return new StoreHead.Found(etag, 10, Optional.empty());
  }

  void tick() {
    apply(new NamespaceCommand.ExpireTick(1000), NamespaceResult.Expired.class);
  }

  byte[] bytes() {
    var out = new ByteArrayOutputStream();
    try (SortedMap.View view = map.view()) {
      view.scan(
          new byte[] {0},
          new byte[] {(byte) 0xff},
          (key, value) -> {
            out.writeBytes(key);
            out.write(0);
            out.writeBytes(value);
            return true;
          });
    }
    return out.toByteArray();
  }
}
