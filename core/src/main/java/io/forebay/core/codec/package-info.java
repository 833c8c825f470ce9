/**
 * How do records become bytes? One codec, derived from the record's declaration.
 *
 * <p>It never evolves a layout silently: choices carry numbers, golden bytes pin them.
 *
 * <p>Called by logs, wires and manifests; calls nothing.
 *
 * <p>Threading: codecs are immutable after creation.
 *
 * <p>Failure: bytes that do not fit are CORRUPT with the position.
 */
@NullMarked
package io.forebay.core.codec;

import org.jspecify.annotations.NullMarked;
