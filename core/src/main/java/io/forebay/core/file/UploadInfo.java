package io.forebay.core.file;

import io.forebay.core.id.UploadId;

/** An open multipart upload. */
public record UploadInfo(String key, UploadId id, long createdMillis) {}
