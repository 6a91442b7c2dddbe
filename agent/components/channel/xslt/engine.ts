// What the channel asks of an XSLT processor, so that another one can take the place of SaxonJS.

/** A stylesheet before it is compiled. */
export type StylesheetSource = {
  /** XSLT, or with `compiled` what the engine's own compiler made of it. */
  readonly text: string
  readonly compiled: boolean
  /** The file it is from: `xsl:include` and `xsl:import` reach the files of its folder and those below; `null`: none. */
  readonly path: string | null
}

/** Parameters by name; a name in a namespace is written `Q{uri}local`. Untyped text: the stylesheet's `as` decides. */
export type Parameters = ReadonlyMap<string, string>

export type Stylesheet = {
  /** `xml`, `html`, `text`, …; `null` when the stylesheet leaves it to the result. */
  readonly method: string | null
  readonly mediaType: string | null
  /** What whoever wrote it should know, in one line each. */
  readonly warnings: readonly string[]
  /**
   * The serialised result of a well-formed document without DTD. `XSLT_FAILED` (details: `errorCode`, `stylesheetLine`) and
   * `XSLT_TERMINATED` are thrown.
   */
  transform(document: string, parameters: Parameters): string
}

export type XsltEngine = {
  readonly name: string
  /**
   * Throws `XSLT_STYLESHEET_INVALID` (with `line`), `XSLT_STYLESHEET_UNREADABLE` and `XSLT_REFUSED`. What it gives never reads or
   * writes anything but its argument and its result.
   */
  compile(source: StylesheetSource): Stylesheet
}
