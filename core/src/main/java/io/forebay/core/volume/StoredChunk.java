package io.forebay.core.volume;

import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;

/** A chunk as a volume holds it: the epoch is that of its commit. */
public record StoredChunk(ChunkId id, GroupId group, Epoch epoch, int lengthBytes, int crc32c) {}
