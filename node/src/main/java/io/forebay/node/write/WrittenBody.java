package io.forebay.node.write;

import io.forebay.core.namespace.Manifest;
import java.util.Optional;

/**
 * A body that is on all the volumes it has to be on, not yet named by anything.
 *
 * @param md5Hex where it was computed
 */
public record WrittenBody(
    long lengthBytes, int crc32c, Optional<String> md5Hex, Manifest manifest) {}
