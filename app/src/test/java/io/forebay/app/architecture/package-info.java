/**
 * Does the tree keep its shape? Tests over the compiled classes of all modules: who may use whom,
 * which library stays behind which wall, and what code that the simulator runs must not call.
 */
package io.forebay.app.architecture;
