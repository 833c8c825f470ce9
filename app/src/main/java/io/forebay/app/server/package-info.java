/**
 * What runs in a server process? The wiring: ports to their implementations, doors to the node.
 *
 * <p>It never decides anything about data.
 *
 * <p>Called by {@code serve}; calls every module.
 *
 * <p>Threading: started and closed once.
 *
 * <p>Failure: a start that fails says what is wrong and closes what it had opened.
 */
@NullMarked
package io.forebay.app.server;

import org.jspecify.annotations.NullMarked;
