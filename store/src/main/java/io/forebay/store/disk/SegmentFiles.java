package io.forebay.store.disk;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.Set;

/** How segment files are opened: as files, or in tests as files whose disk fails. */
@FunctionalInterface
interface SegmentFiles {
  /** Opens a file for reading and writing at positions. */
  FileChannel open(Path path, Set<OpenOption> options) throws IOException;
}
