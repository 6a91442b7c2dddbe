"""Makes the workbooks beside it, with the two libraries that most programs outside of offices use.

python3 -m venv VENV && VENV/bin/pip install openpyxl==3.1.5 XlsxWriter==3.2.9 && VENV/bin/python make.py
"""

from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import xlsxwriter

here = Path(__file__).parent
MADE = datetime(2026, 3, 1)


def by_openpyxl():
    book = openpyxl.Workbook()
    book.properties.created = book.properties.modified = MADE
    sheet = book.active
    sheet.title = "许可证"
    sheet.append(["证号", "姓名", "金额", "日期", "时刻", "时间", "有效", "备注", "合计"])
    sheet.append(["441900199001011234", "陈𠮷", 1234.5, date(2026, 3, 1), datetime(2026, 3, 1, 8, 30), time(8, 30), True, "a\nb", None])
    sheet.append(["00012", " 前后 ", 0.1, date(1900, 1, 1), datetime(1999, 12, 31, 23, 59, 59), time(23, 59, 59), False, "_x000D_ and <&>", None])
    sheet.append([None, None, None, None, None, None, None, None, None])
    sheet.append(["7", "最后", 9007199254740991, date(1900, 3, 1), None, None, None, "", None])
    sheet["D2"].number_format = "yyyy-mm-dd"
    sheet["D3"].number_format = 'yyyy"年"m"月"d"日"'
    sheet["D5"].number_format = "[$-804]yyyy/m/d;@"
    for row in (2, 3, 5):
        sheet.cell(row, 3).number_format = '#,##0.00 "days"'
    other = book.create_sheet("2026")
    other.append(["部门", "人", "项"])
    for row in (["甲", "a", 1], [None, "b", 2], [None, "c", 3], ["乙", "d", None]):
        other.append(row)
    other.merge_cells("A2:A4")
    other.merge_cells("B5:C5")
    formulas = book.create_sheet("formulas")
    formulas.append(["a", "b"])
    formulas.append([1, "=A2+1"])
    book.save(here / "openpyxl.xlsx")


def by_xlsxwriter():
    book = xlsxwriter.Workbook(here / "xlsxwriter.xlsx", {"date_1904": True})
    book.set_properties({"created": MADE})
    sheet = book.add_worksheet("Data")
    plain = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
    bold = book.add_format({"bold": True})
    sheet.write_row(0, 0, ["Report of 2026"])
    sheet.write_row(2, 1, ["id", "at", "sum", "rich", "error", "elapsed"])
    sheet.write_string(3, 1, "001")
    sheet.write_datetime(3, 2, datetime(2026, 3, 1, 8, 30, 0, 250000), plain)
    sheet.write_formula(3, 3, "=1+2", None, 3)
    sheet.write_rich_string(3, 4, "plain ", bold, "bold", " plain")
    sheet.write_number(3, 6, 1.5, book.add_format({"num_format": "[h]:mm"}))
    sheet.write_string(4, 1, "002 _x0041_")
    sheet.write_formula(4, 3, '="te"&"xt"', None, "text")
    sheet.write_boolean(4, 4, True)
    sheet.write_string(5, 1, "003")
    sheet.write_formula(5, 5, "=1/0", None, "#DIV/0!")
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "=Data!$D$4:$D$5"})
    book.add_chartsheet("Chart").set_chart(chart)
    book.close()


by_openpyxl()
by_xlsxwriter()
