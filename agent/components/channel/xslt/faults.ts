import { declareFaults } from '#protocol/base/mod.ts'

export const xsltFault = declareFaults('components', {
  XSLT_STYLESHEET_UNREADABLE: {
    meaning: 'the stylesheet cannot be read',
    remedy: 'Check `file`; a relative path starts at the folder of the flow file',
  },
  XSLT_STYLESHEET_INVALID: {
    meaning: 'this is not a stylesheet that can be compiled',
    remedy: 'Correct the place that is named',
  },
  XSLT_REFUSED: {
    meaning: 'the stylesheet reaches outside of the document it is given',
    remedy:
      'Put what it reads into the document or the parameters, code tables into the stylesheet; it may include and import modules of its own folder',
  },
  XSLT_NO_MAPPING: {
    meaning: 'this stylesheet is no mapping',
    remedy:
      'Nothing to do: the channel xslt runs it by SaxonJS; or rewrite the place that is named, and it becomes one, which is many times faster',
  },
  XSLT_PARAMETER_MISSING: {
    meaning: 'the row lacks a field that is a parameter of the stylesheet',
    remedy: 'Correct `parameterFields`, or set the field in a channel before this one',
  },
  XSLT_FAILED: {
    meaning: 'the stylesheet failed on this document',
    remedy: 'See the error code of XSLT and the line in the stylesheet; test it with a case: causeway-agent flow test',
  },
  XSLT_RESULT: {
    meaning: 'what the stylesheet gave for this document is no XML document',
    remedy:
      'See whether its templates fit the document (its namespaces above all); for text say so by xsl:output method="text", for a part of a document by `mediaType`',
  },
  XSLT_TERMINATED: {
    meaning: 'the stylesheet refused this document by xsl:message terminate="yes"',
    remedy: 'Read its message; it was written by whoever wrote the stylesheet',
  },
})
