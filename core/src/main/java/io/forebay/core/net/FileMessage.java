package io.forebay.core.net;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.codec.Tag;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.ByteRange;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectParts;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.PathStatus;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.file.PrefixStatus;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.StoreConflict;
import io.forebay.core.file.UploadPage;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.Generation;
import io.forebay.core.id.UploadId;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * FileService over the wire, one record for each method, and what operators ask of a node. Readers
 * and writers are handles that the serving node gives out and forgets when they are idle.
 */
public sealed interface FileMessage extends Message {
  /** The request was carried out and has no other answer. */
  @Tag(200)
  record Done() implements FileMessage {}

  @Tag(201)
  record ListBuckets() implements FileMessage {}

  @Tag(202)
  record Buckets(List<Bucket> buckets) implements FileMessage {}

  /** Answered by {@link Buckets} with the one bucket. */
  @Tag(203)
  record CreateBucket(BucketSpec spec) implements FileMessage {}

  @Tag(204)
  record DeleteBucket(String name) implements FileMessage {}

  /** Answered by {@link Objects}, empty where there is none. */
  @Tag(205)
  record Stat(String bucket, String key) implements FileMessage {}

  @Tag(206)
  record Objects(List<ObjectInfo> objects) implements FileMessage {}

  /** Answered by {@link Opened}. */
  @Tag(207)
  record Open(String bucket, String key, ReadConditions conditions) implements FileMessage {}

  @Tag(208)
  record Opened(long handle, ObjectInfo info) implements FileMessage {}

  /** Answered by {@link Body} and a payload. */
  @Tag(209)
  record ReadBody(long handle, long offset, int maxLengthBytes) implements FileMessage {}

  @Tag(210)
  record Body() implements FileMessage {}

  /** Closes a reader, or drops a writer that was not published. */
  @Tag(211)
  record CloseHandle(long handle) implements FileMessage {}

  /** Answered by {@link Writing}. */
  @Tag(212)
  record Create(String bucket, String key, WriteOptions options) implements FileMessage {}

  /** Answered by {@link Writing}. */
  @Tag(213)
  record CreatePart(
      String bucket, String key, UploadId upload, int partNumber, WriteOptions options)
      implements FileMessage {}

  @Tag(214)
  record Writing(long handle) implements FileMessage {}

  /**
   * The next bytes of a body, as payload; several may be on their way, the offset orders them.
   *
   * @param crc32c over the payload
   */
  @Tag(215)
  record WriteBody(long handle, long offset, int crc32c) implements FileMessage {}

  /** Answered by {@link Objects} or {@link Part}, as the handle was made. */
  @Tag(216)
  record Publish(long handle, Optional<String> md5Hex, Map<String, String> headers)
      implements FileMessage {}

  @Tag(217)
  record Part(PartInfo part) implements FileMessage {}

  /** Answered by {@link Deleted}. */
  @Tag(218)
  record Delete(String bucket, String key, WriteConditions conditions) implements FileMessage {}

  @Tag(219)
  record Deleted(boolean existed) implements FileMessage {}

  /** Answered by {@link DeletedMany}. */
  @Tag(220)
  record DeleteMany(String bucket, List<String> keys) implements FileMessage {}

  @Tag(221)
  record DeletedMany(List<KeyResult> results) implements FileMessage {
    /** The result for one key; code 0 is success, else an ErrorCode's number. */
    public record KeyResult(String key, int code, String message) {}
  }

  /** Answered by {@link Objects}. */
  @Tag(222)
  record Copy(
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      String bucket,
      String key,
      CopyOptions options)
      implements FileMessage {}

  @Tag(223)
  record Rename(String bucket, String from, String to) implements FileMessage {}

  @Tag(224)
  record ListKeys(String bucket, ListQuery query) implements FileMessage {}

  @Tag(225)
  record Keys(ListPage page) implements FileMessage {}

  @Tag(226)
  record CreateUpload(String bucket, String key, ObjectMetadata metadata) implements FileMessage {}

  @Tag(227)
  record Upload(UploadId id) implements FileMessage {}

  /** Answered by {@link Part}. */
  @Tag(228)
  record CopyPart(
      String bucket,
      String key,
      UploadId upload,
      int partNumber,
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      Optional<ByteRange> range)
      implements FileMessage {}

  @Tag(229)
  record ListParts(String bucket, String key, UploadId upload, int afterPartNumber, int max)
      implements FileMessage {}

  /** A {@link io.forebay.core.file.PartPage}. */
  @Tag(230)
  record Parts(
      List<PartInfo> parts,
      boolean more,
      List<Map<String, String>> headers,
      Map<String, String> uploadHeaders)
      implements FileMessage {}

  @Tag(231)
  record ListUploads(
      String bucket, String prefix, String afterKey, Optional<UploadId> afterUpload, int max)
      implements FileMessage {}

  @Tag(232)
  record Uploads(UploadPage page) implements FileMessage {}

  /** Answered by {@link Objects}. */
  @Tag(233)
  record CompleteUpload(
      String bucket,
      String key,
      UploadId upload,
      List<CompletedPart> parts,
      WriteConditions conditions,
      OptionalLong expectedLengthBytes,
      Map<String, String> headers)
      implements FileMessage {}

  @Tag(234)
  record AbortUpload(String bucket, String key, UploadId upload) implements FileMessage {}

  @Tag(235)
  record Flush(String bucket, String prefix, long waitNanos) implements FileMessage {}

  @Tag(236)
  record Flushed(FlushReport report) implements FileMessage {}

  @Tag(237)
  record ListConflicts(String bucket) implements FileMessage {}

  @Tag(238)
  record Conflicts(List<StoreConflict> conflicts) implements FileMessage {}

  @Tag(239)
  record Resolve(
      String bucket,
      String key,
      StoreConflict.Resolution resolution,
      Generation generation,
      String storeEtag)
      implements FileMessage {}

  @Tag(240)
  record AskPathStatus(String bucket, String key) implements FileMessage {}

  @Tag(241)
  record PathStatusAnswer(PathStatus status) implements FileMessage {}

  /** Asks how far a prefix is on its way to the store; answered by {@link Flushed}. */
  @Tag(242)
  record AskFlushStatus(String bucket, String prefix) implements FileMessage {}

  /** Answered by {@link PartsOf}. */
  @Tag(243)
  record AskPartsOf(String bucket, String key, Generation generation, int afterPartNumber, int max)
      implements FileMessage {}

  @Tag(244)
  record PartsOf(ObjectParts page) implements FileMessage {}

  /** Answered by {@link Objects}. */
  @Tag(245)
  record ChangeHeaders(String bucket, String key, Map<String, String> headers)
      implements FileMessage {}

  /** Answered by {@link Use}. */
  @Tag(247)
  record AskUse(String bucket) implements FileMessage {}

  @Tag(248)
  record Use(BucketUse use) implements FileMessage {}

  @Tag(249)
  record SetQuota(String bucket, long quotaBytes) implements FileMessage {}

  /** Answered by {@link Policies}. */
  @Tag(260)
  record AskPolicies(String bucket) implements FileMessage {}

  @Tag(261)
  record Policies(List<PrefixPolicy> policies) implements FileMessage {
    public Policies {
      policies = List.copyOf(policies);
    }
  }

  /** Replaces whatever there is; what commands of before {@link ReplacePolicies} send. */
  @Tag(262)
  record SetPolicies(String bucket, List<PrefixPolicy> policies) implements FileMessage {
    public SetPolicies {
      policies = List.copyOf(policies);
    }
  }

  /** Answered by {@link PrefixStatusAnswer}. */
  @Tag(263)
  record AskPrefixStatus(String bucket, String prefix) implements FileMessage {}

  @Tag(264)
  record PrefixStatusAnswer(PrefixStatus status) implements FileMessage {}

  /** As {@link ListKeys}, begun checkpoints included. Answered by {@link Keys}. */
  @Tag(265)
  record ListAllKeys(String bucket, ListQuery query) implements FileMessage {}

  @Tag(266)
  record ReplacePolicies(String bucket, List<PrefixPolicy> seen, List<PrefixPolicy> policies)
      implements FileMessage {
    public ReplacePolicies {
      seen = List.copyOf(seen);
      policies = List.copyOf(policies);
    }
  }

  /** Asks for what the node itself says of its state; answered by {@link Report}. */
  @Tag(300)
  record AskReport() implements FileMessage {}

  /** A node's report as JSON: the same text as its admin door's {@code /status}. */
  @Tag(301)
  record Report(String json) implements FileMessage {}

  /** An operator's command for the cluster log, encoded; answered by {@link OperatorAnswer}. */
  @Tag(302)
  record OperatorCommand(byte[] command) implements FileMessage {}

  /** The encoded ClusterResult. */
  @Tag(303)
  record OperatorAnswer(byte[] result) implements FileMessage {}

  /**
   * A whole body that fits into one payload, from its beginning to its publishing; without a
   * payload the body is empty. Answered by {@link Objects}, or refused with BUSY before anything
   * was done.
   *
   * @param crc32c over the payload; 0 without one
   */
  @Tag(246)
  record Put(
      String bucket,
      String key,
      WriteOptions options,
      int crc32c,
      Optional<String> md5Hex,
      Map<String, String> headers)
      implements FileMessage {}
}
