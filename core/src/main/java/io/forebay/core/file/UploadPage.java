package io.forebay.core.file;

import java.util.List;

/**
 * A page of open uploads.
 *
 * @param more whether uploads follow after the last one here
 */
public record UploadPage(List<UploadInfo> uploads, boolean more) {
  public UploadPage {
    uploads = List.copyOf(uploads);
  }
}
