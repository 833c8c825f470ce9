/**
 * What do all stores behind HTTP need? A deadline that a stopped machine does not outlive, a way
 * for bytes that ends with its call, and text that headers can carry.
 *
 * <p>It never sends anything, and knows no store.
 *
 * <p>Used by the packages of the stores, each with its own SDK.
 *
 * <p>Threading: for all threads; a {@link Transfer} takes a lock of its own, and calls nothing of
 * others under it but the caller's buffers.
 *
 * <p>Failure: none of its own.
 */
@NullMarked
package io.forebay.backing.http;

import org.jspecify.annotations.NullMarked;
